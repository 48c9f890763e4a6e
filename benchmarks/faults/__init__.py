"""What may happen to a run, tried often and at random: kills, full disks, flipped bytes, mutated configs, odd calls.

    python -m benchmarks.faults --n 100 --seed 0

Each kind is a module: a hypothesis strategy that makes cases, and a function that tries one and tells what is wrong.
The tests of the suite draw from the same strategies.
"""
