#!/bin/bash
# Becomes PID 1 of a machine of its own: the host's root as the lower layer of an overlay, everything else private.
# machine.rs calls it inside `unshare` (own mount, network, IPC, host name, cgroup and PID namespaces).
#
# $1 a folder on the host for this machine alone; $2 the folder with the programs, which becomes /usr/lib/bulkhead (empty: none).
set -eu
work=$1 programs=$2
# The upper layer of an overlay must lie on another file system than the lower one.
mount -t tmpfs -o mode=0755 tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
root=$work/root
: >"$root/etc/machine-id"
rm -rf "$root/etc/bulkhead"
if [ -n "$programs" ]; then
    mkdir -p "$root/usr/lib/bulkhead"
    mount --bind "$programs" "$root/usr/lib/bulkhead"
fi
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
ip link set lo up
cd "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
# As on every machine: systemd mounts credentials in a child's namespace and relies on propagation.
mount --make-rshared /
# Whatever the image of the host would start stays out: basic.target, never multi-user.target.
exec env -i container=bulkhead-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system systemd.unit=basic.target --log-target=journal </dev/null >/dev/console 2>&1
