"""Many trainings, exports and measurements as steps that depend on each other, each done once.

A step (steps.py) is a frozen dataclass: `Train`, `Export` or `Measure`; its identity is a hash of all that its outcome
depends on. Its outcome is kept in WORKSPACE/sweep (records.py): a step that is done is not done again, in this sweep
or another, and one that was killed goes on. The files, in the order in which a sweep uses them:

plan.py          what to try, from a TOML file and flags
facts.py         what the steps depend on: contents of datasets, versions of libraries, how targets are made
site.py          a device to measure on, and what its runtimes can do
build.py         steps from settings and facts
matrix.py        all combinations of a plan, with the steps of each
work.py          does steps in their order, on an engine: this_machine.py or on_ray.py
perform.py       does one step; step_process.py gives it a process of its own
sweep.py         all of this for one plan

To use it from Python:

    question = Question(configs=(config,), targets=("onnx",))
    known = step_process.ask(question)                  # what the steps depend on; raises for bad names
    trained = build.train(config, known)
    *before, exported = build.export(trained, "onnx", "fp32", known)
    here = site.here("cpu")                                     # a device, and the runtimes on it
    measured = build.measure(exported, "onnxruntime", here, RunOptions())
    steps = [trained, *before, exported, measured]
    with Records(workspace) as kept:                            # only one sweep at a time in a workspace
        outcomes = work(steps, kept, Local(kept, slots(steps)))
        done = outcomes[measured.identity]                      # a step that fails raises nothing: see its status
        kept.artifact(outcomes[exported.identity]), kept.result(done)

The configs of a question need absolute paths (`recipe.absolute`). `work` may be called again with more steps, with a
new engine for each call: what is done already is not done again.
"""
