//! What reading a head costs: httparse alone, which knows the grammar, and a session, which also
//! refuses what is ambiguous, finds the framing and answers 204.

mod common;

use std::hint::black_box;
use std::mem::MaybeUninit;

use common::{BROWSER, WRK, Worker, nothing};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    for (name, head) in [("wrk", WRK), ("browser", BROWSER)] {
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(format!("httparse/{name}"), |bencher| {
            bencher.iter(|| {
                let mut fields = [const { MaybeUninit::uninit() }; 32];
                let mut request = httparse::Request::new(&mut []);
                let status = request.parse_with_uninit_headers(black_box(head), &mut fields);
                assert_eq!(status, Ok(httparse::Status::Complete(head.len())));
            });
        });
        let mut worker = Worker::new(&nothing);
        worker.check(&[head], 1);
        group.bench_function(format!("session/{name}"), |bencher| {
            bencher.iter(|| worker.serve(black_box(&[head])));
        });
    }
    group.finish();
}

criterion_group!(benches, heads);
criterion_main!(benches);
