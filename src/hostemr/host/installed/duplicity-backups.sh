#!/bin/sh
# The daily backup, whichever engine makes it. Its name is the one that OpenEMR Cloud Express Plus gave it.
# The journal gets what it says; a failure is in the metrics as well.
exec nice -n 10 ionice -c 2 -n 7 systemd-cat --identifier=openemr-backup /usr/local/bin/hostemr-host backup --attempts 3
