import Database
import EventLoop
import JobQueue
import Telemetry
import Usage
import UsageSamples

/// Counts batches from the list: many in one transaction, decoded side by side before it.
public struct SampleCounting: Sendable {
    public static let queue = "samples"
    /// Batches in one transaction: at a thousand samples each, some hundred thousand samples share the commit.
    public static let batchMax = 100
    /// Rows written by one transaction, roughly: payments' writers must not wait for long behind batches of many units or projects.
    static let weightMax = 20_000

    private let database: Database
    private let log: Log
    private let nowMs: @Sendable () -> Int64

    public init(database: Database, log: Log, nowMs: @escaping @Sendable () -> Int64) {
        self.database = database
        self.log = log
        self.nowMs = nowMs
    }

    /// - Returns: one outcome per body: what is no batch of samples is buried, everything else is counted, once. When the database
    ///   cannot take them now, it throws and the same bodies come again.
    public func count(_ batch: [ClaimedJob]) async throws -> [BatchOutcome] {
        let now = nowMs()
        let read = await Self.read(batch, nowMs: now)
        let tallies = read.compactMap { try? $0.get() }
        for group in Self.groups(tallies) {
            // A group that is counted stays counted when a later one fails: its batches come again, and are known.
            note(try await database.write { try UsageCounters.apply(group, nowMs: now, in: $0) }, group)
        }
        return read.map { item in
            switch item {
            case .success: return .ack
            case .failure(let error):
                Self.batches("unreadable").add()
                log.error("a body on the samples list is no batch of samples", ["reason": .string("\(error)")])
                return .bury(reason: "\(error)")
            }
        }
    }

    /// In order, each group a transaction's worth.
    static func groups(_ tallies: [SampleTally]) -> [[SampleTally]] {
        var groups: [[SampleTally]] = []
        var weight = 0
        for tally in tallies {
            if groups.isEmpty || weight + tally.weight > weightMax {
                groups.append([])
                weight = 0
            }
            groups[groups.count - 1].append(tally)
            weight += tally.weight
        }
        return groups
    }

    /// Decodes and adds up, on as many threads as there are.
    private static func read(_ batch: [ClaimedJob], nowMs: Int64) async -> [Result<SampleTally, SampleFormatError>] {
        await withTaskGroup(of: (Int, Result<SampleTally, SampleFormatError>).self) { group in
            for (place, job) in batch.enumerated() {
                group.addTask {
                    do throws(SampleFormatError) {
                        return (place, .success(SampleTally(try SampleBatch(decoding: job.body), nowMs: nowMs)))
                    } catch {
                        return (place, .failure(error))
                    }
                }
            }
            var read = [Result<SampleTally, SampleFormatError>?](repeating: nil, count: batch.count)
            for await (place, result) in group { read[place] = result }
            return read.compactMap { $0 }
        }
    }

    private func note(_ outcomes: [UsageCounters.Outcome], _ tallies: [SampleTally]) {
        for (outcome, tally) in zip(outcomes, tallies) {
            Self.counted.add(Int64(outcome.counted))
            Self.late.add(Int64(outcome.late))
            Self.pastMonth.add(Int64(outcome.pastMonth))
            Self.rejected.add(Int64(outcome.rejected))
            Self.batches(outcome.conflicting > 0 ? "conflict" : outcome.counted == 0 && outcome.repeated > 0 ? "repeated" : "counted").add()
            guard outcome.conflicting > 0 || outcome.rejected > 0 else { continue }
            log.warning(
                "samples were not counted",
                [
                    "source": .string(tally.source), "conflicting": .int(Int64(outcome.conflicting)),
                    "out_of_time": .int(Int64(outcome.rejected)),
                ])
        }
    }

    private static let counted = MetricRegistry.shared.counter("usage_samples_total", help: "Samples counted.")
    private static let late = MetricRegistry.shared.counter(
        "usage_samples_late_total", help: "Samples counted more than an hour after they were measured.")
    private static let pastMonth = MetricRegistry.shared.counter(
        "usage_samples_past_month_total", help: "Samples counted for a month that was over.")
    private static let rejected = MetricRegistry.shared.counter(
        "usage_samples_rejected_total", help: "Samples not counted: too old, or ahead of time.")

    private static func batches(_ outcome: String) -> Counter {
        MetricRegistry.shared.counter(
            "usage_batches_total", help: "Batches taken from the list, by what became of them.", labels: [("outcome", outcome)])
    }
}
