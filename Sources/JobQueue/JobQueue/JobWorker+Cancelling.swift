import Telemetry

/// Jobs that are not to be run any more.
extension JobWorker {
    /// Cancels a job of this worker's queue: waiting, delayed, parked, or running on whichever worker. What was waiting is told to
    /// ``JobNotice`` `onSkip`, as it is of a running job by its worker.
    @discardableResult
    public func cancel(_ id: String, reason: String = JobEnding.cancelled) async throws -> JobCancellation {
        let answer = try await line.driver.cancel(id, reason: reason)
        if case .removed(let job) = answer {
            metrics(of: job).cancelled.add()
            job.log(configuration.log, attempt: job.attempt).info("job cancelled", ["reason": .string(reason)])
            try await (handler(of: job.kind)?.onSkip ?? configuration.onSkip)?(job, reason)
        }
        return answer
    }

    /// Whether the mark that was told is still there; nil when the queue cannot be asked.
    func isCancelled(_ id: String) async -> Bool? {
        do { return try await line.driver.isMarked(cancelled: id) } catch { return nil }
    }

    /// A job that has come to its own end before it left off: the mark is over with it.
    func cancelledTooLate(_ job: JobEnvelope) async {
        do {
            try await line.driver.unmark(cancelled: job.id)
        } catch {
            configuration.log.warning("a mark of cancellation is left to run out", ["job": .string(job.id), "error": .string(error.message)])
        }
        cancelled.forget(job.id)
    }

    /// Ends a cancelled job: recorded, not retried.
    func leaveCancelled(_ claimed: ClaimedJob, _ job: JobEnvelope, worker: WorkerIdentity) async -> StepOperation {
        metrics(of: job).cancelled.add()
        let entry = HistoryEntry(
            job: job.id, attempt: job.attempt + 1, atMs: configuration.clock.now(), worker: worker.description, reason: JobEnding.cancelled)
        let kept = handler(of: job.kind)?.keepResult ?? JobEnding.keptUsually
        return await leave(
            claimed, job, JobEnding.cancelled,
            ending: JobEnding(job: job.id, state: .cancelled, reason: JobEnding.cancelled, kept: kept, entry: entry))
    }
}

extension JobHandler {
    /// What is remembered of a job of this kind beyond its end; nil when nothing is.
    func ending(_ job: JobEnvelope, _ state: JobEnding.State, _ reason: String?, result: [UInt8]? = nil) -> JobEnding? {
        keepResult.map { JobEnding(job: job.id, state: state, reason: reason, result: result, kept: $0) }
    }
}
