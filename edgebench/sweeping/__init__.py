"""Many trainings, exports and measurements as steps that depend on each other, each done once.

A step (steps.py) is a frozen dataclass: `Train`, `Export` or `Measure`; its identity is a hash of all that its outcome
depends on. What came of it is kept in WORKSPACE/sweep (records.py), so that a step which is done is not done again, in
this sweep or another, and one that was killed goes on. To use it from Python:

    known = process.ask(Question((config, ...), ("onnx",)))     # what the steps depend on; raises for bad names
    trained = build.train(config, known)
    *before, exported = build.export(trained, "onnx", "fp32", known)
    here = site.here("cpu")                                     # a device, and the runtimes on it
    measured = build.measure(exported, "onnxruntime", here, RunOptions())
    steps = [trained, *before, exported, measured]
    with Records(workspace) as kept:                            # one sweep a workspace at a time
        outcomes = work(steps, kept, Local(kept, slots(steps)))
        done = outcomes[measured.identity]                      # a step that fails raises nothing: see its status
        kept.artifact(outcomes[exported.identity]), kept.result(done)

The configs of a question have to be whole (`recipe.absolute`). `work` may be called again with more steps, with a new
engine for each call: what is done already is not done again.
"""
