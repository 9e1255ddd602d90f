#!/bin/sh
# Boots systemd in namespaces of its own, on the files of this machine, which it sees and cannot change:
# `machine.sh FOLDER NAME`. The network is that of this machine. FOLDER is where it is put together, NAME
# that of its control group.
set -eu

mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir upper work root cgroup
mount -t cgroup2 cgroup2 cgroup
mkdir "cgroup/$2"
echo $$ >"cgroup/$2/cgroup.procs"
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root

cd root
mount -t tmpfs tmpfs dev
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty dev/
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
echo 0123456789abcdef0123456789abcdef >etc/machine-id

# The journal, and targets without any of the services that this machine has.
rm -rf etc/systemd/system
mkdir -p etc/systemd/system run/units
cp lib/systemd/system/systemd-journald*.service lib/systemd/system/systemd-journald*.socket run/units/
for target in basic multi-user network-online paths shutdown slices sockets timers umount; do
  : >"run/units/$target.target"
done
cat >run/units/sysinit.target <<'UNIT'
[Unit]
DefaultDependencies=no
Wants=systemd-journald.service
After=systemd-journald.service
UNIT

exec unshare --pid --fork --kill-child --uts --ipc --cgroup --mount sh -euc '
  mount -t proc proc proc
  mount --bind proc/sys proc/sys
  mount -o remount,ro,bind proc/sys
  mount -t sysfs -o ro sysfs sys
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mkdir dev/pts
  mount -t devpts devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  pivot_root . mnt
  umount --lazy /mnt
  # As systemd does on a real machine: the credentials of a unit are mounted by a process of its own.
  mount --make-rshared /
  exec env -i container=test SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/units \
    PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=sysinit.target
'
