#!/bin/bash
# Becomes PID 1 of a machine of its own: the host's root as the lower layer of an overlay, everything else private.
# Called by machine.rs inside `unshare` (own mount, network, IPC, host name, cgroup and PID namespaces).
# $1: a folder on the host, ours alone; $2: a folder that appears as /host inside.
set -eu
work=$1 host=$2
mount -t tmpfs -o mode=0755 tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
# The upper layer must lie on another file system than the lower one: hence the tmpfs.
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
root=$work/root
: >"$root/etc/machine-id"
mkdir -p "$root/host"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
umount -l "$root/sys/fs/cgroup" 2>/dev/null || true
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs tmpfs "$root/dev/shm"
: >"$root/dev/console"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$host" "$root/host"
ip link set lo up
cd "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
# As every machine's: systemd mounts credentials in a child's namespace and relies on propagation.
mount --make-rshared /
exec env -i container=bulkhead-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system systemd.unit=basic.target --log-target=journal </dev/null >/dev/console 2>&1
