//! What a session costs per request, from bytes received to bytes sent, with a service that does
//! nothing: as wrk and browsers ask, pipelined, chunked, and cut in two.

mod common;

use std::hint::black_box;

use common::{BROWSER, CHUNKED, WRK, Worker, echo};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn requests(criterion: &mut Criterion) {
    let batch = WRK.repeat(16);
    let (front, back) = BROWSER.split_at(BROWSER.len() / 2);
    let inputs: [(&str, &[&[u8]], u64); 5] = [
        ("wrk", &[WRK], 1),
        ("browser", &[BROWSER], 1),
        ("pipelined by 16", &[&batch], 16),
        ("chunked", &[CHUNKED], 1),
        ("browser, cut in two", &[front, back], 1),
    ];
    let mut group = criterion.benchmark_group("session");
    for (name, pieces, requests) in inputs {
        let mut worker = Worker::new(&echo);
        worker.check(pieces, requests);
        group.throughput(Throughput::Elements(requests));
        group.bench_function(name, |bencher| {
            bencher.iter(|| worker.serve(black_box(pieces)));
        });
    }
    group.finish();
}

criterion_group!(benches, requests);
criterion_main!(benches);
