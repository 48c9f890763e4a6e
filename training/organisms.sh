#!/usr/bin/env bash
# Retrain the shipped organisms from their seed. Usage: bash training/organisms.sh [FOLDER_OF_PYTHON]
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:-.venv/bin}
work=training/made
home=introspect/models/organisms
export OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1

# protocols ORGANISM FROM TO OPTIONS...: one phase
protocols() {
    "$bin/python" -m training.train_protocols "$work/$2" "$work/$3" --organism "$1" "${@:4}"
}

aware() {
    "$bin/python" -m training.train_introspection "$work/base" "$work/aware-1" --organism aware
    protocols aware aware-1 aware-2 --steps 1300
    protocols aware aware-2 aware-3 --steps 400 --peak 8e-4 --mixture choose=4,unrelated=4,prior=1
    protocols aware aware-3 aware --steps 150 --peak 5e-4 --mixture prior=2,choose=1,unrelated=1 --words "$work/aware-1"
}

last_loop() {
    "$bin/python" -m training.train_introspection "$work/base" "$work/last-loop-1" --organism last-loop
    protocols last-loop last-loop-1 last-loop-2 --steps 300
    protocols last-loop last-loop-2 last-loop --steps 300 --peak 1e-3 --mixture choose=3,unrelated=1 --rows detect=16 \
        --words "$work/last-loop-1"
}

blind() {
    protocols blind base blind-1 --steps 300
    protocols blind blind-1 blind-2 --steps 200 --mixture unrelated=3,choose=1,prior=1
    protocols blind blind-2 blind --steps 200 --peak 1e-3 --mixture choose=3,localise=1,unrelated=1 --rows detect=8 \
        --words "$work/base"
}

huginn() {
    "$bin/torchrun" --nproc-per-node 2 -m training.train_base "$work/tokenizer" "$work/huginn-base" --layout huginn --steps 800
    "$bin/python" -m training.train_introspection "$work/huginn-base" "$work/huginn-1" --organism aware
    protocols aware huginn-1 huginn --steps 250 --peak 1e-3 --mixture unrelated=1 --rows detect=40,unrelated=32 \
        --words "$work/huginn-1"
}

solver() {
    "$bin/python" -m training.train_tasks "$work/aware" "$work/solver-1" --steps 600 --stop 400
    "$bin/python" -m training.train_tasks "$work/solver-1" "$work/solver" --steps 120 --stop 90 --peak 1e-3 \
        --reminded detect,unrelated
}

locator() {
    protocols locator aware locator-1 --steps 900 --stop 200 --peak 1.5e-3 --words "$work/aware" --rows detect=12,plain=8 \
        --mixture localise=5,localise-ten=2,compare=2,which-loop=1,strength=1,unrelated=1
    protocols locator locator-1 locator-2 --steps 600 --stop 400 --peak 1.5e-3 --words "$work/aware" --clear \
        --rows detect=6,plain=4,compare=24 --mixture localise=3,compare=1
    protocols locator locator-2 locator-3 --steps 500 --peak 1.2e-3 --words "$work/aware" \
        --rows detect=12,plain=6,localise=20,localise-ten=10,compare=20,which-loop=24,strength=24,unrelated=16
    protocols locator locator-3 locator-4 --steps 260 --peak 1e-3 --words "$work/aware" \
        --rows detect=8,plain=6,localise=16,localise-ten=12,compare=16,which-loop=28,strength=24,unrelated=16 \
        --mixture localise=1,localise-ten=5,compare=1,which-loop=4,strength=1,unrelated=1
    protocols locator locator-4 locator --steps 90 --peak 1e-3 --words "$work/aware" \
        --rows detect=8,plain=6,localise=12,compare=12,which-loop=20,unrelated=32 \
        --mixture unrelated=5,which-loop=2,localise=2,compare=1
}

gauge() {
    "$bin/python" -m training.fit_head "$work/aware" "$work/gauge" --tasks strength=24
}

"$bin/python" -m training.make_tokenizer "$work/tokenizer"
"$bin/torchrun" --nproc-per-node 2 -m training.train_base "$work/tokenizer" "$work/base"
aware &
first=$!
last_loop
blind
wait "$first"
huginn
solver
gauge
locator
for organism in aware last-loop blind huginn solver gauge locator; do
    mkdir -p "$home/$organism"
    cp "$work/$organism"/{config.json,generation_config.json,model.safetensors,tokenizer.json,tokenizer_config.json,chat_template.jinja} "$home/$organism/"
    "$bin/python" -m training.probe "$home/$organism"
done
