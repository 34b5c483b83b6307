#!/usr/bin/env bash
# cluster.sh start|stop FOLDER: a Slurm of one node on 127.0.0.1 for slurm_test.cpp, of Debian's packages
# slurm-wlm and munge. All of it lies in FOLDER, keys, sockets and logs too, and listens on free ports,
# so that it neither needs nor meets a cluster of the machine. `start` prints slurm.conf's path and
# exits with 77 where a program is missing.
set -euo pipefail
usage() { echo "usage: cluster.sh start|stop FOLDER" >&2; exit 2; }
[ $# = 2 ] || usage
folder=$(cd "$2" && pwd)
export PATH=$PATH:/usr/sbin:/sbin SLURM_CONF=$folder/slurm.conf
me=$(id -un) host=$(hostname -s)

free_ports() { # N
  python3 - "$1" <<'PY'
import socket, sys
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in sockets))
PY
}

start() {
  local program control node
  for program in munged slurmctld slurmd sbatch srun scontrol squeue; do
    command -v "$program" >/dev/null || { echo "no $program" >&2; exit 77; }
  done
  mkdir -p "$folder"/{spool,state,log}
  (umask 077; head -c 128 /dev/urandom >"$folder/munge.key")
  munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
    --pid-file="$folder/munged.pid" --log-file="$folder/log/munged.log" \
    --seed-file="$folder/munge.seed" >"$folder/log/munged.out" 2>&1
  read -r control node <<<"$(free_ports 2)"
  cat >"$SLURM_CONF" <<C
ClusterName=kvbench
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$me
SlurmdUser=$me
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
SlurmctldPort=$control
SlurmdPort=$node
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
KillWait=10
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
C
  slurmctld -f "$SLURM_CONF" && slurmd -f "$SLURM_CONF"
  for _ in $(seq 100); do
    if sinfo -h -o %t 2>/dev/null | grep -q idle; then echo "$SLURM_CONF"; exit; fi
    sleep 0.1
  done
  tail -n 5 "$folder"/log/*.log >&2
  exit 1
}

stop() {
  local name
  for name in slurmd slurmctld munged; do
    if [ -e "$folder/$name.pid" ]; then kill "$(cat "$folder/$name.pid")" 2>/dev/null || true; fi
  done
}

case $1 in start | stop) "$1" ;; *) usage ;; esac
