#!/bin/sh
exec /usr/bin/python3 -I /opt/hostemr/hostemr.pyz "$@"
