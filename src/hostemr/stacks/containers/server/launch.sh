#!/bin/sh
# shellcheck disable=SC2016,SC3057 # CloudFormation fills what looks like a shell's expansion
#
# The first start of a server of the stack ${AWS::StackName}: cloud-init runs this as root, once for an instance.
# CloudFormation fills what stands in braces after a dollar, so this shell's own variables have none.
#
# Another agent or configuration is another text, and so another version of the launch template:
# agent @agent_sha256@
# configuration @configuration_sha256@
set -eu
umask 022
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a HOME=/root
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin

# Nothing secret is written here, so that whoever may log in can follow it: tail -f /tmp/launch.log
# /tmp is emptied when the machine starts; the log itself stays.
log=/var/log/openemr-launch.log
touch "$log"
chmod 644 "$log"
ln -sfn "$log" /tmp/launch.log
exec >>"$log" 2>&1

say() {
    printf '%s %s\n' "$(date -u '+%Y-%m-%d %H:%M:%S')" "$*"
}

# patiently COMMAND…: mirrors, locks and networks fail now and then.
patiently() {
    tries=1
    until "$@"; do
        [ "$tries" -lt 6 ] || return 1
        say "did not work ($tries), trying again: $*"
        sleep "$((tries * 5))"
        tries=$((tries + 1))
    done
}

# The agent tells the stack itself how its set-up went. This is for what happens before it, and for its death.
# A second signal of the same server counts for nothing.
tell_failure() {
    READY_URL='${ReadyUrl}' python3 -I - "$1" <<'PY'
import http.client, json, os, sys, urllib.parse, urllib.request

def instance():
    base = "http://169.254.169.254/latest/"
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = ask(urllib.request.Request(base + "api/token", method="PUT", headers=headers), timeout=5).read().decode()
    headers = {"X-aws-ec2-metadata-token": token}
    return ask(urllib.request.Request(base + "meta-data/instance-id", headers=headers), timeout=5).read().decode()

try:
    server = instance()
except OSError:
    server = "launch"
reason = " ".join(sys.argv[1].split())[:1000] or "the launch script failed"
body = json.dumps({"Status": "FAILURE", "Reason": reason, "UniqueId": server, "Data": reason})
url = urllib.parse.urlsplit(os.environ["READY_URL"])
kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
# Without a Content-Type, as the address is signed for none.
connection = kind(url.netloc, timeout=20)
connection.request("PUT", url.path + "?" + url.query, body=body.encode())
print("told the stack:", connection.getresponse().status)
PY
}

step='begin'
on_exit() {
    status=$?
    trap - EXIT
    [ "$status" != 0 ] || exit 0
    reason=$(tail -n 40 "$log" | grep -i '^error\|^E: \|error:' | tail -n 1) || reason=''
    [ -n "$reason" ] || reason=$(tail -n 1 "$log")
    say "failed with status $status at: $step"
    patiently tell_failure "$step: $reason" || say "the stack could not be told"
    # An update waits for the group's signal instead; where it waits for none, this is refused.
    aws cloudformation signal-resource --region '${AWS::Region}' --stack-name '${AWS::StackId}' \
        --logical-resource-id ServerGroup --unique-id "$(cat /var/lib/cloud/data/instance-id)" --status FAILURE ||
        say "the group could not be told"
    # A server that Auto Scaling launched in the place of a dead one has nobody who launches it again.
    case $0 in
    /*) systemd-run --quiet --collect --on-active=120 "$0" || say "nothing will try again" ;;
    esac
    exit "$status"
}
trap on_exit EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

step='installing packages'
say "launching ${AWS::StackName}: $step"
install_packages() {
    # unattended-upgrades holds the lock in the first minutes of a new machine.
    apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -qq update &&
        apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Options::=--force-confold -qq -y \
            --no-install-recommends install \
            ca-certificates cron docker.io docker-compose-v2 duplicity e2fsprogs gnupg iptables logrotate \
            python3-boto3 restic unattended-upgrades util-linux xfsprogs
}
patiently install_packages

step='installing the AWS command line'
# Ubuntu 24.04 has no package of it.
install_aws() {
    command -v aws >/dev/null || { snap wait system seed.loaded && snap install aws-cli --classic; }
}
say "$step"
patiently install_aws

step='fetching the agent'
say "$step"
mkdir -p /opt/hostemr /etc/hostemr
chmod 700 /etc/hostemr
fetch() {
    aws cloudformation describe-stack-resource --region '${AWS::Region}' --stack-name '${AWS::StackId}' \
        --logical-resource-id '@resource@' --query StackResourceDetail.Metadata --output text \
        >/etc/hostemr/.metadata.new
}
patiently fetch
python3 -I - <<'PY'
import base64, hashlib, json, os, sys

with open("/etc/hostemr/.metadata.new", encoding="utf-8") as file:
    found = json.load(file)["hostemr"]
agent = base64.b64decode(found["agent"], validate=True)
digest = hashlib.sha256(agent).hexdigest()
if digest != "@agent_sha256@":
    sys.exit(f"error: the agent in the stack's metadata is another one than this launch is for: {digest}")

def put(path, content, mode):
    handle = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)
    os.rename(path + ".new", path)

put("/opt/hostemr/hostemr.pyz", agent, 0o755)
put("/etc/hostemr/host.json", json.dumps(found["configuration"], indent=2).encode(), 0o600)
PY
rm -f /etc/hostemr/.metadata.new

step='setting up'
say "$step"
python3 -I /opt/hostemr/hostemr.pyz setup

# From here on it is a service: it starts with the machine, and MariaDB is ended in time when that stops.
step='starting the service'
say "$step"
systemctl start openemr.service
say "done"
