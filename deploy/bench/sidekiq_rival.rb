# Sidekiq beside our own queue in `make bench`: the same arguments, and a job that does nothing.
#   sidekiq -r ./deploy/bench/sidekiq_rival.rb -q bench -c <threads>              works off the queue
#   ruby deploy/bench/sidekiq_rival.rb bulk|single <jobs> <threads> [<begin>]     fills it; prints jobs per second
# REDIS_URL says where. <begin> is a time in Unix seconds, so that several processes fill at the same moment.
require 'sidekiq'

# Its own faster client where Debian's ruby-hiredis is there.
driver = begin
  require 'hiredis'
  :hiredis
rescue LoadError
  :ruby
end

# Debian's Sidekiq and its Redis client are of different years; a warning with every call would cost it half of its speed.
Redis.silence_deprecations = true
Redis.sadd_returns_boolean = false

class NoOperation
  include Sidekiq::Worker
  sidekiq_options queue: 'bench', retry: true

  def perform(_arguments); end
end

Sidekiq.logger.level = Logger::WARN
Sidekiq.configure_server { |config| config.redis = { url: ENV.fetch('REDIS_URL'), driver: driver } }

if $PROGRAM_NAME == __FILE__
  way, jobs, threads, start = ARGV[0], ARGV[1].to_i, ARGV[2].to_i, ARGV[3].to_f
  Sidekiq.configure_client { |config| config.redis = { url: ENV.fetch('REDIS_URL'), driver: driver, size: threads + 1 } }
  arguments = ->(number) { { 'number' => number, 'text' => 'as long as most jobs are: 200 bytes' } }
  Sidekiq.redis(&:ping)
  sleep([start - Time.now.to_f, 0].max)

  begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  share = jobs / threads
  Array.new(threads) do |lane|
    Thread.new do
      numbers = (lane * share...(lane + 1) * share)
      if way == 'bulk'
        numbers.each_slice(1000) { |slice| Sidekiq::Client.push_bulk('class' => NoOperation, 'args' => slice.map { |n| [arguments.(n)] }) }
      else
        numbers.each { |n| NoOperation.perform_async(arguments.(n)) }
      end
    end
  end.each(&:join)
  puts share * threads / (Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun)
end
