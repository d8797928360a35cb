"""Run every benchmark, one after the other."""

from . import bench_backfill, bench_client, bench_decode, bench_limiter

if __name__ == "__main__":
    bench_decode.main([])
    bench_client.main([])
    bench_limiter.main([])
    bench_backfill.main([])
