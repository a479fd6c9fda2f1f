<?php
// The bench's routes for PHP: /plaintext, /cpu/MICROS, /sleep/MICROS.

function spin(int $rounds): int
{
    $total = 0;
    for ($number = 0; $number < $rounds; $number++) {
        $total = ($total + $number * 7) % 1000003;
    }
    return $total;
}

// Rounds per µs of CPU: the work is calibrated once, not timed. Nothing is kept between two
// requests but what a file holds.
function rounds_per_us(): float
{
    $file = __DIR__ . '/rounds';
    $known = @file_get_contents($file);
    if ($known !== false && (float) $known > 0) {
        return (float) $known;
    }
    $best = INF;
    for ($tries = 0; $tries < 20; $tries++) {
        $begun = hrtime(true);
        spin(20000);
        $best = min($best, (hrtime(true) - $begun) / 1e3);
    }
    $rounds = 20000 / $best;
    file_put_contents("$file." . getmypid(), (string) $rounds);
    rename("$file." . getmypid(), $file);
    return $rounds;
}

$path = $_SERVER['REQUEST_URI'];
$body = 'done';
if ($path === '/' || $path === '/plaintext') {
    $body = 'Hello, World!';
} elseif (preg_match('#^/cpu/(\d{1,8})$#', $path, $found)) {
    spin((int) ($found[1] * rounds_per_us()));
} elseif (preg_match('#^/sleep/(\d{1,8})$#', $path, $found)) {
    usleep((int) $found[1]);
} else {
    http_response_code(404);
    $body = 'not found';
}
header('Content-Type: text/plain');
header('Content-Length: ' . strlen($body));
echo $body;
