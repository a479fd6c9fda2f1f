// Node's cluster with the bench's routes: /plaintext, /cpu/MICROS, /sleep/MICROS.
// Usage: node app.js ADDRESS PORT WORKERS
const cluster = require('cluster');
const http = require('http');

const [address, port, workers] = process.argv.slice(2);

function spin(rounds) {
  let total = 0;
  for (let number = 0; number < rounds; number += 1) total = (total + number * 7) % 1000003;
  return total;
}

// Rounds per µs of CPU, from the fastest of several tries: the work is calibrated, not timed.
function calibrate() {
  let best = Infinity;
  for (let tries = 0; tries < 20; tries += 1) {
    const begun = process.hrtime.bigint();
    spin(200000);
    best = Math.min(best, Number(process.hrtime.bigint() - begun) / 1e3);
  }
  return 200000 / best;
}

function serve() {
  const rounds = calibrate();
  const server = http.createServer((request, response) => {
    const answer = (status, body) => {
      response.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': body.length });
      response.end(body);
    };
    const [, kind, number] = request.url.split('/');
    if (request.url === '/' || request.url === '/plaintext') answer(200, 'Hello, World!');
    else if (kind === 'cpu' && number <= 60000000) answer(200, spin(number * rounds) >= 0 ? 'done' : '');
    else if (kind === 'sleep' && number <= 60000000) setTimeout(answer, number / 1000, 200, 'done');
    else answer(404, 'not found');
  });
  server.keepAliveTimeout = 120000;
  server.listen(Number(port), address, 1024);
}

const primary = cluster.isPrimary === undefined ? cluster.isMaster : cluster.isPrimary;
if (primary) for (let worker = 0; worker < Number(workers); worker += 1) cluster.fork();
else serve();
