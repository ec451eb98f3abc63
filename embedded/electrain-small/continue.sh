# Continues the embedded model with all data in this repository: bash embedded/electrain-small/continue.sh FOLDER
# From parts 1 to 13, half an hour on one core.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/embedded/electrain-small
mkdir -p "$1"
cd "$1"

python "$root/datasets/assemble.py" structures.xyz "$root"/datasets/mad_like_part*.xyz.xz \
    "$root/datasets/dft_mini.xyz.xz"
electrain prepare structures.xyz -o data --split given --grid -81.85 34.7  # the axis of the model
python "$here/start.py" electrain-small start.ckpt

cd data
mtt train options.yaml -r seed=0 -r architecture.training.num_epochs=16 \
    -r architecture.training.learning_rate=5e-4 \
    -r architecture.training.finetune.read_from=../start.ckpt -o model.pt
python "$here/uncertainties.py" options.yaml options-llpr.yaml
mtt train options-llpr.yaml -r seed=0 -o model-llpr.pt
python "$here/pack.py" model.ckpt model-llpr.pt "$root/src/electrain/pretrained/electrain-small"
electrain evaluate . --part test -m model-llpr.pt -o ../test
