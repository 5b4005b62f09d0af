@echo off
rem Makes the four templates beside this file. cmd.exe writes what a program prints byte for byte, so they are in UTF-8
rem without a byte order mark, also when PowerShell starts this; its own > would make UTF-16, which CloudFormation refuses.
setlocal
cd /d "%~dp0"
echo Exporting templates...
python stack.py > OpenEMR-Express-Plus.json || exit /b 1
python stack.py --dev > OpenEMR-Express-Plus-Developer.json || exit /b 1
python stack.py --recovery > OpenEMR-Express-Plus-Recovery.json || exit /b 1
python stack.py --recovery --dev > OpenEMR-Express-Plus-Recovery-Dev.json || exit /b 1
echo Done.
