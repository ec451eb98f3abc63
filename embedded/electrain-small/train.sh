# The embedded model electrain-small, from the data in this repository: bash embedded/electrain-small/train.sh FOLDER
# GPUs are used where there are any, but give other numbers. How it begins is the second argument:
#   pretrain      (default) with a new pre-trained network, which takes most of the time and needs the extra `pretrain`
#   continue      with the embedded model itself, for half as many epochs
#   MODEL.ckpt    with a network that has been pre-trained before
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/embedded/electrain-small
how=${2:-pretrain}
epochs=30 learning_rate=1e-3
case $how in
    pretrain) start=../pretrained/model.ckpt ;;
    continue) start=electrain-small epochs=16 learning_rate=5e-4 ;;
    *) start=$(realpath -e "$how") ;;
esac
mkdir -p "$1"
cd "$1"

python "$root/datasets/assemble.py" structures.xyz "$root"/datasets/mad_like_part*.xyz.xz \
    "$root/datasets/dft_mini.xyz.xz"
# the range of energies of all parts so far, so that the axis stays the same when data are added
electrain prepare structures.xyz -o data --split given --grid -81.85 34.7

if [ "$how" = pretrain ]; then
    python "$root/pretraining/draw.py" drawn.xyz --count 100000
    python "$root/pretraining/label.py" drawn.xyz data/options.yaml pretrained
    (cd pretrained && mtt train options.yaml -r seed=0 -o model.pt)
fi

cd data
mtt train options.yaml -r seed=0 -r architecture.training.num_epochs=$epochs \
    -r architecture.training.learning_rate=$learning_rate \
    -r architecture.training.finetune.read_from=$start -o model.pt
python "$here/uncertainties.py" options.yaml options-llpr.yaml
mtt train options-llpr.yaml -r seed=0 -o model-llpr.pt
python "$here/pack.py" model.ckpt model-llpr.pt "$root/src/electrain/pretrained/electrain-small"
for part in test validation; do
    electrain evaluate . --part $part -m model-llpr.pt -o ../$part
done
python "$here/card_numbers.py" model-llpr.pt ../test ../validation
