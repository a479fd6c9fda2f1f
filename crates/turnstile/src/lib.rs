//! Every Linux server concurrency model, measured and ready to run.
