#!/bin/bash
# Builds the virtual board's disk, kernel and modules out of Debian's packages; scripts/virtual_board calls it.
#
#     build.sh DIR [SUITE] [MIRROR]
#
# Nothing of the board runs here: its packages are unpacked, and what their scripts would have done is done by hand, since
# configuring them under an emulator takes an hour. Each part is skipped if it is there; delete it to make it anew.
set -euo pipefail
dir=$(realpath -m "$1") suite=${2:-trixie} mirror=${3:-http://deb.debian.org/debian}
here=$(dirname "$(readlink -f "$0")")
mkdir -p "$dir" && cd "$dir"
[ "$(id -u)" = 0 ] || { echo "the files of the disk belong to root: run it as root" >&2; exit 1; }
missing=()
for tool in apt-get dpkg-deb mke2fs qemu-system-aarch64 qemu-img dtc cpio modprobe ssh-keygen python3; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
[ ${#missing[@]} = 0 ] || { echo "not here: ${missing[*]}. apt-get install qemu-system-arm qemu-utils device-tree-compiler cpio kmod e2fsprogs openssh-client" >&2; exit 1; }
part() { echo "[$(date +%T)] $*"; }

# fetch NAME ARCHITECTURE PACKAGE...: downloads them and all that they depend on into NAME/var/cache/apt/archives.
fetch() {
    local name=$1 arch=$2 apt=$PWD/$1.apt; shift 2
    mkdir -p "$apt"/{etc/apt/apt.conf.d,etc/apt/preferences.d,var/lib/apt/lists/partial,var/cache/apt/archives/partial,var/lib/dpkg}
    : > "$apt/var/lib/dpkg/status"
    echo "deb [arch=$arch signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$apt/etc/apt/sources.list"
    options=(-q -q -o "Dir=$apt" -o "Dir::State::Status=$apt/var/lib/dpkg/status" -o "APT::Architecture=$arch" -o "APT::Architectures::=$arch"
        -o APT::Install-Recommends=false -o Acquire::Languages=none -o APT::Sandbox::User=root -o Debug::NoLocking=1)
    apt-get "${options[@]}" update
    apt-get "${options[@]}" -y --download-only install "$@" > /dev/null
}
unpack() { for package in "$1".apt/var/cache/apt/archives/base-files_*.deb "$1".apt/var/cache/apt/archives/*.deb; do dpkg-deb -x "$package" "$2"; done; }

if [ ! -e root.made ]; then
    part "the board's packages"
    fetch board arm64 '?essential' linux-image-arm64 systemd-sysv systemd udev kmod dbus openssh-server openssh-sftp-server \
        python3 python3-venv ca-certificates i2c-tools sudo iproute2 procps netbase passwd busybox-static
    part "unpacking them"
    rm -rf root && mkdir root && unpack board root
    rm -rf root/usr/share/{man,doc,locale,info}
    touch root.made
fi
kernel=$(basename "$(echo root/usr/lib/modules/*)")

if [ ! -e ko/ebstub.ko ]; then
    part "a cross compiler, the headers of $kernel and the drivers' sources"
    fetch builder amd64 base-files dash coreutils sed grep gawk make findutils gcc-aarch64-linux-gnu "linux-kbuild-${kernel%-arm64}" libc6
    (cd builder.apt && apt-get "${options[@]}" download "linux-headers-${kernel%-arm64}-common" "linux-source-${kernel%.*}")
    (cd board.apt && apt-get "${options[@]//builder.apt/board.apt}" -o APT::Architecture=arm64 -o APT::Architectures::=arm64 download "linux-headers-$kernel")
    mkdir -p builder && unpack builder builder
    for package in builder.apt/*headers*.deb board.apt/*headers*.deb builder.apt/linux-source*.deb; do dpkg-deb -x "$package" builder; done
    [ -e builder/bin/sh ] || ln -s dash builder/usr/bin/sh
    [ -e builder/usr/bin/awk ] || ln -s gawk builder/usr/bin/awk
    part "the modules"
    rm -rf builder/m && cp -r "$here/ebstub" builder/m
    # Debian's arm64 kernel has none of these; they are the kernel's own (GPL), so they are fetched and never kept with us.
    sources=(drivers/hwmon/{ina3221,ina238,ina2xx}.c drivers/power/supply/test_power.c)
    tar -xJf builder/usr/src/linux-source-*.tar.xz -C builder/m --strip-components=3 --wildcards "${sources[@]/#/*/}" || true
    find builder/m -name '*.c' -mindepth 2 -exec mv {} builder/m/ \;
    echo 'obj-m := ebstub.o ina3221.o ina238.o ina2xx.o test_power.o' > builder/m/Makefile
    chroot builder make -s -C "/usr/src/linux-headers-$kernel" M=/m ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- modules
    mkdir -p ko && cp builder/m/*.ko ko/
    rm -rf builder builder.apt
fi

if [ ! -e root.compiled ]; then
    # Debian's own scripts do this on a real board. Without it every start of Python there takes ten times as long.
    part "the bytecode of its Python, by the same Python for this machine"
    version=$(basename "$(echo root/usr/lib/python3.*)")
    fetch compiler amd64 base-files "$version-minimal" "lib$version-stdlib" libc6
    mkdir -p compiler && unpack compiler compiler
    PYTHONHOME=compiler/usr compiler/lib*/ld-linux-x86-64.so.2 --library-path "$(echo compiler/usr/lib/x86_64-linux-gnu)" \
        "compiler/usr/bin/$version" -m compileall -q -s root -p / "root/usr/lib/$version" root/usr/lib/python3 > /dev/null || true
    compgen -G "root/usr/lib/$version/__pycache__/enum.*.pyc" > /dev/null || { echo "it was not compiled" >&2; exit 1; }
    rm -rf compiler compiler.apt
    touch root.compiled
fi

if [ ! -e root.configured ]; then
    part "what the packages' scripts would have done"
    cp root/usr/share/base-passwd/passwd.master root/etc/passwd
    cp root/usr/share/base-passwd/group.master root/etc/group
    sed -i 's/^\([a-z_]*\):\*:/\1:x:/' root/etc/passwd
    cat >> root/etc/passwd <<'T'
sshd:x:101:65534::/run/sshd:/usr/sbin/nologin
messagebus:x:102:102::/nonexistent:/usr/sbin/nologin
systemd-network:x:998:998::/:/usr/sbin/nologin
robot:x:1000:1000::/home/robot:/bin/bash
T
    printf '%s\n' messagebus:x:102: systemd-network:x:998: systemd-journal:x:997: _ssh:x:103: robot:x:1000: >> root/etc/group
    sed 's/:.*/:*:20000:0:99999:7:::/' root/etc/passwd > root/etc/shadow && chmod 640 root/etc/shadow && chown 0:42 root/etc/shadow
    cp root/usr/share/libc-bin/nsswitch.conf root/etc/
    cp root/usr/share/openssh/sshd_config root/etc/ssh/
    for word in auth account password session session-noninteractive; do
        echo "${word%-*} required pam_permit.so" > "root/etc/pam.d/common-$word"
    done
    [ -e root/usr/bin/sh ] || ln -s dash root/usr/bin/sh
    [ -e root/usr/bin/awk ] || ln -s mawk root/usr/bin/awk
    ssh-keygen -q -t ed25519 -N '' -C board -f root/etc/ssh/ssh_host_ed25519_key
    [ -e key ] || ssh-keygen -q -t ed25519 -N '' -C desk -f key
    echo board > root/etc/hostname
    printf '127.0.0.1 localhost\n127.0.1.1 board\n' > root/etc/hosts
    cat root/usr/share/ca-certificates/mozilla/*.crt > root/etc/ssl/certs/ca-certificates.crt # Debian's pip needs it
    : > root/etc/machine-id
    touch root/etc/.updated root/var/.updated # else its first boot takes minutes to make databases that nobody needs
    printf '/dev/vda / ext4 defaults,noatime 0 1\n' > root/etc/fstab
    printf '[Match]\nName=en* eth*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\nLinkLocalAddressing=no\n' > root/etc/systemd/network/10-qemu.network
    system=root/etc/systemd/system && mkdir -p $system/multi-user.target.wants
    for unit in ssh systemd-networkd; do ln -sf /usr/lib/systemd/system/$unit.service $system/multi-user.target.wants/; done
    for unit in systemd-networkd-wait-online.service systemd-timesyncd.service systemd-firstboot.service systemd-pcrphase.service \
        systemd-hwdb-update.service ldconfig.service systemd-journal-catalog-update.service systemd-networkd-persistent-storage.service \
        apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
        dev-hugepages.mount dev-mqueue.mount sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-tracing.mount \
        modprobe@.service systemd-binfmt.service proc-sys-fs-binfmt_misc.mount proc-sys-fs-binfmt_misc.automount systemd-logind.service \
        getty@.service serial-getty@.service systemd-journal-flush.service systemd-random-seed.service systemd-pstore.service; do ln -sf /dev/null $system/$unit; done
    printf 'UseDNS no\nUsePAM no\nPermitRootLogin prohibit-password\n' > root/etc/ssh/sshd_config.d/board.conf
    echo 'robot ALL=(ALL) NOPASSWD: ALL' > root/etc/sudoers.d/robot && chmod 440 root/etc/sudoers.d/robot
    printf '[global]\nno-index = true\nfind-links = /opt/wheels\n' > root/etc/pip.conf
    for home in root home/robot; do
        mkdir -p root/$home/.ssh && cp key.pub root/$home/.ssh/authorized_keys && chmod 700 root/$home/.ssh
    done
    cp root/etc/skel/.[a-z]* root/home/robot/ && chown -R 1000:1000 root/home/robot && chmod 700 root/root
    mkdir -p "root/usr/lib/modules/$kernel/extra" && cp ko/*.ko "root/usr/lib/modules/$kernel/extra/"
    depmod -b root "$kernel"
    touch root.configured
fi

if [ ! -e initrd ]; then
    part "the initrd: busybox and the modules that find the disk"
    work=initrd.new && rm -rf $work && mkdir -p $work/{bin,dev,proc,sys,mnt,modules}
    cp "$(find root/usr/bin root/bin/ -name busybox | head -1)" $work/bin/busybox && ln -s busybox $work/bin/sh
    number=10
    for module in virtio_mmio virtio_blk ext4; do
        while read -r _ path _; do
            number=$((number + 1)) name=$(basename "${path%.xz}")
            compgen -G "$work/modules/*-$name" > /dev/null && continue
            case $path in *.xz) xz -dc "$path" ;; *) cat "$path" ;; esac > "$work/modules/$number-$name"
        done < <(modprobe -d root -S "$kernel" --show-depends $module | grep ^insmod)
    done
    cat > $work/init <<'T'
#!/bin/sh
b=/bin/busybox
$b mount -t proc p /proc; $b mount -t sysfs s /sys; $b mount -t devtmpfs d /dev
for m in /modules/*; do $b insmod $m; done
i=0; while [ ! -e /dev/vda ] && [ $i -lt 100 ]; do $b sleep 0.1; i=$((i+1)); done
$b mount -t ext4 /dev/vda /mnt || exec /bin/sh
for d in dev proc sys; do $b mount --move /$d /mnt/$d; done
exec $b switch_root /mnt /sbin/init
T
    chmod 755 $work/init && (cd $work && find . | cpio -o -H newc --quiet | gzip -1) > initrd && rm -rf $work
    cp root/boot/vmlinuz-* vmlinuz
fi

if [ ! -e wheels.made ]; then
    part "the wheels that edgebench needs there"
    version=$(basename "$(echo root/usr/lib/python3.*)") && version=${version#python}
    # All tags up to the board's glibc: pip takes those named and no older ones by itself.
    tags=(--platform manylinux2014_aarch64); for minor in $(seq 17 41); do tags+=(--platform "manylinux_2_${minor}_aarch64"); done
    mkdir -p root/opt/wheels
    python3 -m pip download -q --only-binary=:all: "${tags[@]}" --python-version "$version" --implementation cp -d root/opt/wheels \
        numpy click psutil rich ${WHEELS:-onnxruntime}
    touch wheels.made
fi

if [ ! -e disk.img ]; then
    part "the disk"
    rm -f disk.new && truncate -s 4G disk.new && mke2fs -q -t ext4 -d root -L root disk.new && mv disk.new disk.img
fi
echo "kernel $kernel, $(du -sh disk.img | cut -f1) on disk; all parts $(du -sh . | cut -f1)"
