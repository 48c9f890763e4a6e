#!/usr/bin/env bash
# Retrain the three shipped organisms from their seed. Usage: bash training/organisms.sh [FOLDER_OF_PYTHON]
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:-.venv/bin}
work=training/made
home=introspect/models/organisms
export OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1

"$bin/python" -m training.make_tokenizer "$work/tokenizer"
"$bin/torchrun" --nproc-per-node 2 -m training.train_base "$work/tokenizer" "$work/base"
"$bin/python" -m training.train_introspection "$work/base" "$work/first-aware" --organism aware &
aware=$!
"$bin/python" -m training.train_introspection "$work/base" "$work/first-last-loop" --organism last-loop
wait "$aware"
"$bin/python" -m training.train_protocols "$work/first-aware" "$work/aware" --organism aware --steps 1300 &
aware=$!
"$bin/python" -m training.train_protocols "$work/base" "$work/blind" --organism blind --steps 300
"$bin/python" -m training.train_protocols "$work/first-last-loop" "$work/last-loop" --organism last-loop --steps 300
wait "$aware"
for organism in aware last-loop blind; do
    mkdir -p "$home/$organism"
    cp "$work/$organism"/{config.json,generation_config.json,model.safetensors,tokenizer.json,tokenizer_config.json,chat_template.jinja} "$home/$organism/"
    "$bin/python" -m training.probe "$home/$organism"
done
