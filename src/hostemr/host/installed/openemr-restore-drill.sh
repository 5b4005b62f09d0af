#!/bin/sh
# Restores the newest backup beside the running database, and compares.
exec nice -n 15 ionice -c 3 systemd-cat --identifier=openemr-restore-drill /usr/local/bin/hostemr-host drill
