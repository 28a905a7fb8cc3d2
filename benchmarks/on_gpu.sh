#!/usr/bin/env bash
# Everything that needs a CUDA device, in stages of about nine minutes at most. Each can be run alone. A
# stage stopped by its limit or a signal continues when it is run again; a finished one is skipped.
set -euo pipefail

stages=(throughput assignment-a assignment-b default study vgg16 homework devices)
limit=525 # seconds a stage, and 30 more to save: a checkpoint of VGG16 is 2 GB

usage() {
  cat <<END
usage: benchmarks/on_gpu.sh DATA OUT [STAGE...]
       benchmarks/on_gpu.sh --list

Runs all stages, or those named, on the dataset DATA and writes OUT/STAGE.json. Only headstart's
dependencies must be installed; PYTHON names the interpreter (default: python3). If FASHION_MNIST
names its folder, part 2 of the assignment runs: the stage vgg16, and part of the stage homework.
NEW_DATA, WEIGHTS and MODEL are homework's options --new-data, --weights, --model.
Ends with 124 if a stage reaches its limit of $limit s: the same command continues it.
END
}

fail() { # status message
  echo "on_gpu.sh: $2" >&2
  exit "$1"
}

limited() { # command...: within what is left of the stage's time
  local left=$((deadline - SECONDS)) status=0
  ((left > 0)) || fail 124 "$stage met its limit; the same command goes on with it"
  timeout --foreground --kill-after=30 "$left" "$@" || status=$?
  if ((status == 124 || (status == 137 && SECONDS >= deadline))); then # 137 alone: out of memory
    fail 124 "$stage met its limit; the same command goes on with it"
  fi
  ((status == 0)) || fail "$status" "$stage failed with status $status"
}

measure_throughput() {
  # Written under another name first: what bears the stage's name is complete.
  limited "$python" benchmarks/throughput.py --data "$data" --device cuda --size 256x320 --width 32 \
    --pictures 300 --rounds 5 --workers 0,2,8 --threads 4 --out "$out/throughput.json.part"
  mv "$out/throughput.json.part" "$out/throughput.json"
}

train_seeds() { # recipe
  local seed runs=()
  for seed in 1 2 3; do
    runs+=("$out/runs/$stage-$seed")
    [[ -e ${runs[-1]}/scores.json ]] && continue
    # The thread count is part of a run's settings, so it must not follow the machine.
    limited "$python" -m headstart train "$data" --model unet --recipe "$1" --size 256x320 --width 32 \
      --seed "$seed" --device cuda --threads 4 --out "${runs[-1]}"
  done
  limited "$python" benchmarks/collect.py "$out/$stage.json" "${runs[@]}"
}

study_starts() {
  # A study goes on by itself; the report of a study that met the stage's limit comes with the last call.
  limited "$python" -m headstart study "$data" --starts scratch,colorization,masked-colorization \
    --labels 30,75,all --seeds 5 --size 256x320 --width 32 --device cuda --threads 4 --jobs 3 \
    --out "$out/study" # one run alone leaves the device waiting for the host
  limited "$python" -m headstart report "$out/study" --without-pictures
  cp "$out/study/study.json" "$out/study.json"
}

train_vgg16() { # 2(a), whole: ten epochs at 224 x 224, as plain as the course has it, and with ours
  local recipe runs=()
  for recipe in assignment default; do
    runs+=("$out/runs/vgg16-$recipe")
    [[ -e ${runs[-1]}/scores.json ]] && continue
    limited "$python" -m headstart train "$FASHION_MNIST" --task classification --model vgg16 --size 224 \
      --recipe "$recipe" --epochs 10 --seed 1 --device cuda --threads 4 --checkpoint-seconds 300 --out "${runs[-1]}"
  done
  limited "$python" benchmarks/collect.py "$out/vgg16.json" "${runs[@]}"
}

do_homework() {
  local second=()
  [[ -n ${FASHION_MNIST:-} ]] && second=(--fashion-mnist "$FASHION_MNIST" --model "${MODEL:-vgg16}")
  [[ -n ${NEW_DATA:-} ]] && second+=(--new-data "$NEW_DATA")
  [[ -n ${WEIGHTS:-} ]] && second+=(--weights "$WEIGHTS")
  limited "$python" -m headstart homework --data "$data" "${second[@]}" --scale full --seeds 5 \
    --device cuda --threads 4 --jobs 3 --without-pictures --out "$out/homework"
  cp "$out/homework/homework.json" "$out/homework.json"
}

spread_study() { # every GPU is used, and memory that does not suffice is noticed
  rm -rf "$out/spread"
  limited "$python" benchmarks/devices.py "$data" "$out/spread"
  cp "$out/spread/devices.json" "$out/devices.json"
}

case "${1:-}" in
  --list)
    printf '%s\n' "${stages[@]}"
    exit
    ;;
  -h | --help)
    usage
    exit
    ;;
esac
if (($# < 2)); then
  usage >&2
  exit 2
fi
[[ -d $1 ]] || fail 65 "there is no dataset folder $1"
for stage in "${@:3}"; do
  [[ " ${stages[*]} " == *" $stage "* ]] || fail 2 "there is no stage $stage; expected one of: ${stages[*]}"
done

for name in FASHION_MNIST NEW_DATA WEIGHTS; do
  path=${!name:-}
  [[ -z $path || $path == fashion-mnist ]] && continue # the word fetches it
  [[ -e $path ]] || fail 65 "$name: there is no $path"
  export "$name=$(realpath "$path")"
done
[[ " ${*:3} " != *" vgg16 "* || -n ${FASHION_MNIST:-} ]] || fail 65 "vgg16: FASHION_MNIST names no folder"

python=${PYTHON:-python3}
data=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
chosen=("${@:3}")
((${#chosen[@]})) || chosen=("${stages[@]}")

cd "$(dirname "$0")/.."
export PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}"
"$python" -c 'import torch; import headstart.cli.main; import headstart.assignment.run; from headstart.runs.records import environment; environment("cpu")' ||
  fail 69 "$python cannot run headstart (see above)"
gpu=$("$python" -c 'import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else "")')
[[ -n $gpu ]] || fail 69 "torch finds no CUDA device; these stages are of use on one only"
echo "on $gpu" >&2

for stage in "${chosen[@]}"; do
  if [[ -e $out/$stage.json ]]; then
    echo "$stage: done before; remove $out/$stage.json to repeat it" >&2
    continue
  fi
  if [[ $stage == vgg16 && -z ${FASHION_MNIST:-} ]]; then
    echo "vgg16: left out, FASHION_MNIST names no folder" >&2
    continue
  fi
  if [[ $stage == devices ]] && (($("$python" -c 'import torch; print(torch.cuda.device_count())') < 2)); then
    echo "devices: left out, there is one device" >&2
    continue
  fi
  echo "$stage: begins" >&2
  deadline=$((SECONDS + limit))
  case "$stage" in
    throughput) measure_throughput ;;
    assignment-a) train_seeds assignment ;;
    assignment-b) train_seeds assignment-augmented ;;
    default) train_seeds default ;;
    study) study_starts ;;
    vgg16) train_vgg16 ;;
    homework) do_homework ;;
    devices) spread_study ;;
  esac
  echo "$stage: wrote $out/$stage.json" >&2
done
