# A Rack application with the bench's routes: /plaintext, /cpu/MICROS, /sleep/MICROS.

def spin(rounds)
  total = 0
  rounds.times { |number| total += number }
  total
end

def timed(rounds)
  begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  spin(rounds)
  Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun
end

# Rounds per µs of CPU, from the fastest of several tries: the work is calibrated, not timed.
ROUNDS_PER_US = 20_000 / (Array.new(7) { timed(20_000) }.min * 1e6)

run(lambda do |env|
  path = env["PATH_INFO"]
  case path
  when "/", "/plaintext" then status, body = 200, "Hello, World!"
  when %r{\A/cpu/(\d{1,8})\z}
    spin((Regexp.last_match(1).to_i * ROUNDS_PER_US).to_i)
    status, body = 200, "done"
  when %r{\A/sleep/(\d{1,8})\z}
    sleep(Regexp.last_match(1).to_i / 1e6)
    status, body = 200, "done"
  else status, body = 404, "not found"
  end
  [status, { "content-type" => "text/plain", "content-length" => body.bytesize.to_s }, [body]]
end)
