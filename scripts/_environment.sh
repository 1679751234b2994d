# Sourced by demo and test: makes .venv beside pyproject.toml and installs edgebench there, once for each state of it.
#
#   PYTHON=python3.12 scripts/test                                         another Python
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu scripts/demo   torch without its 4 GB of CUDA

cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10 python}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "error: no Python 3.10 or newer was found; install one, or name it: PYTHON=/path/to/python $0" >&2
  return 1
}

# install EXTRA: .venv with edgebench[EXTRA]; does nothing if that is there already.
install() {
  local extra=$1 stamp
  stamp=".venv/installed-$extra-$(cat pyproject.toml scripts/constraints.txt | cksum | tr -dc 0-9)"
  [ -e "$stamp" ] && return
  if [ ! -x .venv/bin/python ]; then
    "$(find_python)" -m venv .venv || {
      echo "error: could not make .venv; on Debian and Ubuntu: apt-get install python3-venv" >&2
      return 1
    }
  fi
  echo "installing edgebench[$extra] into .venv (once; a few minutes)" >&2
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c scripts/constraints.txt -e ".[$extra]" >&2
  rm -f .venv/installed-"$extra"-*
  touch "$stamp"
}
