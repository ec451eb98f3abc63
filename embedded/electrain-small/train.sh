# The embedded model electrain-small, from the data in this repository: bash embedded/electrain-small/train.sh FOLDER
# From parts 1 to 9. Half an hour on one idle core. GPUs are used where there are any, but give other numbers.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
python "$here/../../datasets/assemble.py" structures.xyz "$here"/../../datasets/mad_like_part[1-9].xyz.xz \
    "$here/../../datasets/dft_mini.xyz.xz"
electrain prepare structures.xyz -o data --split given
cd data
mtt train options.yaml -r seed=0 -o model.pt
python "$here/uncertainties.py" options.yaml options-llpr.yaml
mtt train options-llpr.yaml -r seed=0 -o model-llpr.pt
python "$here/pack.py" model.ckpt model-llpr.pt "$here/../../src/electrain/pretrained/electrain-small"
electrain evaluate . --part test -m model-llpr.pt -o ../test
