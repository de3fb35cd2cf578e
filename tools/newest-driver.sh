#!/usr/bin/env bash
# Runs a command with the Mesa of Debian unstable: its software driver multiplies subgroup matrices, and that of Debian stable,
# which the tests bring along, does not. It is installed by debootstrap into a root of its own in .cache/, once; the command runs
# in this folder within it, with this Node, and mounts end with the command.
#
#   sudo tools/newest-driver.sh env -C packages/gpu-backend vitest run matrix
#
# Needs Linux, root's rights, debootstrap, 700 MB and, the first time, the network.
set -euo pipefail
checkout="$(cd "$(dirname "$0")/.." && pwd)"
root="$checkout/.cache/newest-driver"

if [ ! -e "$root/made" ]; then
  rm -rf "$root"
  debootstrap --variant=minbase --include=mesa-vulkan-drivers,libvulkan1 sid "$root" >&2
  touch "$root/made"
fi
install "$(command -v node)" "$root/usr/local/bin/node"
mkdir -p "$root$checkout"

export CHECKOUT="$checkout" ROOT="$root" FROM="$PWD"
export XDG_RUNTIME_DIR=/tmp VK_ICD_FILENAMES=/usr/share/vulkan/icd.d/lvp_icd.json WINNOW_GPU_DRIVER=system
export INNER_PATH="$checkout/node_modules/.bin:/usr/local/bin:/usr/bin:/bin"
# Mounts are this process's own, so that nothing is left mounted however it ends.
exec unshare --mount bash -c '
  mount --bind "$CHECKOUT" "$ROOT$CHECKOUT"
  mount --bind /dev "$ROOT/dev"
  mount -t proc proc "$ROOT/proc"
  exec chroot "$ROOT" env -C "$FROM" PATH="$INNER_PATH" "$@"' bash "$@"
