# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# Which packages each part of the work needs, and how they get here.

# group_why GROUP: half a sentence for the user.
group_why() {
	case $1 in
	build) echo "to build the library, its tools and examples" ;;
	test) echo "to build and run the tests and man pages" ;;
	docs) echo "to make HTML of the manual" ;;
	bench) echo "to measure what RCU costs beside the library" ;;
	plot) echo "to draw the picture" ;;
	lint) echo "to check the format and build with a second compiler" ;;
	fuzz) echo "to fuzz softverbs" ;;
	model) echo "to check the model of the library" ;;
	m32) echo "to build the tests for a 32-bit machine" ;;
	aarch64) echo "to build the tests for aarch64, and to run them" ;;
	vm) echo "to boot a kernel that has soft-RoCE" ;;
	abi) echo "to compare the libraries with the recorded ABI" ;;
	debian) echo "to build and check Debian packages" ;;
	rpm) echo "to build and check RPM packages" ;;
	esac
}

apt_packages() {
	case $1 in
	build) echo gcc libc6-dev cmake ninja-build pkg-config libibverbs-dev \
		librdmacm-dev libjansson-dev ibverbs-providers ;;
	test) echo g++ libcmocka-dev pandoc valgrind jq git ibverbs-utils \
		rdmacm-utils perftest libfabric-bin iproute2 libevent-dev \
		libglib2.0-dev meson make gdb bash-completion \
		systemtap-sdt-dev libncurses-dev tmux cython3 python3-dev \
		python3-pyverbs man-db groff ;;
	docs) echo pandoc ;;
	bench) echo liburcu-dev ;;
	plot) echo gnuplot-nox jq ;;
	lint) echo clang clang-format shellcheck ;;
	fuzz) echo clang libclang-rt-dev ;;
	model) echo spin gcc libc6-dev ;;
	m32) echo gcc-i686-linux-gnu qemu-user-static ;;
	aarch64) echo gcc-aarch64-linux-gnu qemu-user-static ;;
	abi) echo abigail-tools binutils ;;
	debian) echo debhelper dpkg-dev lintian debootstrap xz-utils zstd \
		dh-python cython3 python3-dev libncurses-dev ;;
	rpm) echo rpm rpmlint cpio xz-utils ;;
	vm) echo qemu-system-x86 busybox-static kmod cpio xz-utils zstd iproute2 \
		ibverbs-providers ibverbs-utils jq build-essential ;;
	esac
}

dnf_packages() {
	case $1 in
	build) echo gcc glibc-devel cmake ninja-build pkgconf-pkg-config \
		rdma-core-devel libibverbs librdmacm jansson-devel ;;
	test) echo gcc-c++ libcmocka-devel pandoc valgrind jq \
		git libasan libubsan libtsan libibverbs-utils \
		librdmacm-utils perftest libfabric iproute libevent-devel \
		glib2-devel meson make gdb bash-completion \
		systemtap-sdt-devel ncurses-devel tmux python3-Cython \
		python3-devel python3-pyverbs man-db groff ;;
	docs) echo pandoc ;;
	bench) echo userspace-rcu-devel ;;
	plot) echo gnuplot jq ;;
	lint) echo clang clang-tools-extra ShellCheck ;;
	fuzz) echo clang compiler-rt ;;
	model) echo spin gcc glibc-devel ;;
	abi) echo libabigail binutils ;;
	rpm) echo rpm-build rpmlint xz ;;
	m32 | aarch64 | vm | debian) echo ;;
	esac
}

apt_missing() {
	local p
	for p in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) in
		installed) ;;
		*) echo "$p" ;;
		esac
	done
}

dnf_missing() {
	local p
	for p in "$@"; do
		rpm -q --quiet --whatprovides "$p" || echo "$p"
	done
}

apt_update() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -q update
}

# Old package lists name files that the mirror no longer has, and a fresh
# container has no lists at all. An update that fails for a repository we do
# not need is no reason to stop: the second try tells.
apt_install() {
	local try=(env DEBIAN_FRONTEND=noninteractive apt-get -q -q -y
		-o Dpkg::Use-Pty=0 --no-install-recommends install "$@")

	if as_root "${try[@]}" >"$BUILD/apt.log" 2>&1 </dev/null; then
		return 0
	fi
	apt_update >"$BUILD/apt.log" 2>&1 </dev/null || true
	as_root "${try[@]}" >>"$BUILD/apt.log" 2>&1 </dev/null && return 0
	tail -n 20 "$BUILD/apt.log" >&2
	return 1
}

package_manager() {
	if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
		echo apt
	elif command -v dnf >/dev/null; then
		echo dnf
	else
		echo none
	fi
}

# need GROUP…: installs what is missing of these groups, and nothing when all
# is there.
need() {
	local pm group missing want
	pm=$(package_manager)

	mkdir -p "$BUILD"
	for group in "$@"; do
		case $pm in
		apt) read -ra want <<<"$(apt_packages "$group")" ;;
		dnf) read -ra want <<<"$(dnf_packages "$group")" ;;
		none)
			need_without_manager "$group"
			continue
			;;
		esac
		mapfile -t missing < <("${pm}_missing" "${want[@]}")
		[ "${#missing[@]}" -gt 0 ] || continue
		say "installing ${missing[*]}: $(group_why "$group")"
		case $pm in
		apt) apt_install "${missing[@]}" ;;
		dnf) as_root dnf -q -y --setopt=install_weak_deps=False \
			install "${missing[@]}" </dev/null ;;
		esac || die "could not install ${missing[*]}: install them by" \
			"hand, or run this as root"
	done
}

# On other distributions the tools may be there already; then go on.
need_without_manager() {
	local tool missing=()

	[ "$1" = build ] || return 0
	for tool in cc cmake ninja pkg-config; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	[ "${#missing[@]}" -eq 0 ] ||
		die "no apt-get and no dnf here: install ${missing[*]}," \
			"libibverbs' headers and jansson's by hand"
}
