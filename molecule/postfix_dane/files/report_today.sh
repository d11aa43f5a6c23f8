#!/usr/bin/env bash
# What happens after midnight, now: the day that the collector is amid is copied as yesterday's, and reported by the role's
# own settings but for the waiting times.
set -euo pipefail
copy=$(mktemp -d)
python3 - "$copy" <<'PYTHON'
import datetime, shutil, sqlite3, sys

today = f"{sys.argv[1]}/collectd.sqlite"
shutil.copy("/var/lib/tlsrpt/collectd.sqlite", today)
shutil.copy(today, f"{today}.yesterday")
day = str(datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=1))
with sqlite3.connect(f"{today}.yesterday") as database:
    database.execute("update finalresults set day = ?", (day,))
    database.execute("insert into daystatus(daycomplete) values (?)", (day,))
PYTHON
chown -R tlsrpt "$copy"
export TLSRPT_FETCHER_STORAGE="sqlite://$copy/collectd.sqlite" TLSRPT_REPORTD_DBNAME="$copy/reportd.sqlite"
export TLSRPT_REPORTD_SPREAD_OUT_DELIVERY=1 TLSRPT_REPORTD_INTERVAL_MAIN_LOOP=1
export TLSRPT_REPORTD_MIN_WAIT_DOMAINLIST=0 TLSRPT_REPORTD_MAX_WAIT_DOMAINLIST=1
export TLSRPT_REPORTD_MIN_WAIT_DOMAINDETAILS=0 TLSRPT_REPORTD_MAX_WAIT_DOMAINDETAILS=1
program=$(sed -n 's/^ExecStart=//p' /etc/systemd/system/tlsrpt-reportd.service)
setpriv --reuid tlsrpt --regid tlsrpt --init-groups timeout 10 "$program" || [ $? -eq 124 ]
rm -r "$copy"
