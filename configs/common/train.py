"""How a run is organised; each key once. Iterations count batches, epochs count photos."""

train = dict(
    # Where everything of a run goes. A new run needs an empty folder; --resume continues one.
    output_dir="./output",
    # Weights to start from: a file or an address that Detectron2 fetches; "" is random.
    init_checkpoint="",
    # Length of training; where both are set max_iter counts. Overriding epochs alone on the command
    # line clears a max_iter of the config.
    epochs=None,
    max_iter=None,
    # Automatic mixed precision: dtype bf16 (GPU or CPU) or fp16 (GPU).
    amp=dict(enabled=False, dtype="bf16"),
    # Clip the norm of all gradients together to this; 0 does not clip.
    clip_grad_norm=0.0,
    # Compute each batch in this many pieces, one after the other, to save memory.
    accumulate=1,
    # Updates that may be left out because a loss or gradient is not finite before training stops.
    max_skipped_steps=0,
    # Multiply the learning rate by total_batch_size / this (the linear scaling rule); None: do not.
    reference_batch_size=None,
    # Average the weights with this decay, such as 0.999, and evaluate the average too; 0: do not.
    ema_decay=0.0,
    # Convolution weights in the layout that CPUs and tensor cores prefer; same results.
    channels_last=False,
    # How evaluation and the other tools run the trained model; gains: docs/benchmarks.md.
    inference=dict(
        # BatchNorm multiplied into the convolutions before it; same results but for rounding.
        fold_batchnorm=True,
        # As channels_last above, and on a CPU another way to pool features; same results.
        channels_last=True,
        # fp32, bf16, or fp16 (GPU); the lower ones move points by fractions of a pixel.
        dtype="fp32",
        # torch.compile of the backbone; takes a minute at the start.
        compile_backbone=False,
        # Likewise of the heads of proposals, boxes and keypoints.
        compile_heads=False,
        # On a GPU, start all kernels of a photo at once where its padded size has come before.
        cuda_graphs=True,
        # Better answers from the same weights; gains and costs: docs/answers.md.
        answers=dict(
            # Average heatmaps with those of the mirrored photo.
            flip=False,
            # Look for people at these sizes as well, factors of the photo's, such as [0.7, 1.4].
            scales=[],
            # Keypoints between the cells of the heatmap, by a Taylor expansion.
            subpixel=False,
            # Keypoint scores become probabilities of being within one sigma, and covariances come
            # along: 1.0, or the temperature that the report has fitted. None: neither.
            temperature=None,
            # Multiply people's scores with the OKS that their heatmaps let expect.
            rescore=False,
            # Leave out people whose OKS with a better one is above this; 0: nobody.
            oks_nms=0.0,
        ),
    ),
    # Checkpoints every `period` iterations, or every `checkpoint_epochs`; 0: only at the end.
    checkpointer=dict(period=5000, max_to_keep=5),
    checkpoint_epochs=None,
    # Evaluation every `eval_period` iterations, or every `eval_epochs`; 0: only at the end.
    eval_period=5000,
    eval_epochs=None,
    # With every evaluation also the losses on its photos.
    validation_loss=False,
    # Stop after this many evaluations without a new best; 0: never.
    patience=0,
    # The metric whose highest value decides what model_best.pth is.
    best_metric="keypoints/AP",
    # Several processes: end with the name of the one that hangs once none has moved for so many
    # seconds; 0: wait for ever.
    stall_timeout=300,
    # Progress and metrics.json every so many iterations.
    log_period=20,
    # Photos drawn at the end, ground truth beside predictions.
    visualizations=12,
    # After the last evaluation also explain its errors: report/report.html; needs plotly.
    report=False,
    # Falls back to "cpu", saying so, where there is no GPU.
    device="cuda",
    # Of weights, data order, augmentation and sampling.
    seed=0,
    # Arguments of DistributedDataParallel.
    ddp=dict(broadcast_buffers=False, find_unused_parameters=False),
)
