import Telemetry

/// One attempt at one job, from its bytes to what the queue is told.
extension JobWorker {
    /// - Returns: nil when the claim is gone: the job waits for its keys.
    func attempt(_ claimed: ClaimedJob, worker: WorkerIdentity) async -> StepOperation? {
        var job: JobEnvelope
        do {
            job = try JobEnvelope(decoding: claimed.body)
        } catch {
            return buryOpaque(claimed, "unreadable: \(error)", worker: worker)
        }
        guard job.queue == queue else {
            return await bury(claimed, job, "names queue \(job.queue) but stood on \(queue)", worker: worker, attempt: nil)
        }
        guard claimed.redeliveries < QueueLimits.redeliveriesMax else {
            return await bury(
                claimed, job, "redelivered \(claimed.redeliveries) times without an outcome", worker: worker, attempt: job.attempt + 1)
        }
        if cancelled.mayHold(job.id) {
            switch await isCancelled(job.id) {
            case true?: return await leaveCancelled(claimed, job, worker: worker)
            case false?: cancelled.forget(job.id)
            // A mark may have been taken back: neither run nor ended before the queue says which.
            case nil: return .giveBack(claimed.token)
            }
        }
        if isPaused(job.kind) {
            metrics(of: job).parked.add()
            return .park(claimed.token, kind: job.kind)
        }
        if let expiresAtMs = job.expiresAtMs, expiresAtMs <= queueNowMs { return await expire(claimed, job) }
        // Before it is asked for its keys: a job that stays aside takes none.
        guard let handler = handler(of: job.kind), handler.understands(job) else { return await park(claimed, job) }
        if let item = FlowItem(job) {
            switch await admit(item, claimed.token, worker: worker) {
            case .admitted: job.admitted = .wholly
            case .duplicate(let other): return await skipDuplicate(of: other, claimed, job)
            case .waiting, .delayed, .stale: return nil
            case nil: return .giveBack(claimed.token)
            }
        }
        let beganMs = configuration.clock.now()
        handler.metrics?.began(job, nowMs: beganMs)
        let outcome = await run(job, claimed, handler, worker: worker, nowMs: beganMs)
        handler.metrics?.duration.observe(Double(configuration.clock.now() - beganMs) / 1000)
        return await settle(outcome, claimed, job, handler, worker: worker)
    }

    /// - Returns: nil when the queue cannot be asked: the job goes back, unspent.
    private func admit(_ item: FlowItem, _ token: ClaimToken, worker: WorkerIdentity) async -> Admission? {
        do {
            return try await line.driver.admit(item, claimed: token, by: worker)
        } catch {
            configuration.log.warning("job could not be admitted, given back", ["job": .string(item.flow.job), "error": .string(error.message)])
            return nil
        }
    }

    private func skipDuplicate(of other: String, _ claimed: ClaimedJob, _ job: JobEnvelope) async -> StepOperation {
        metrics(of: job).skipped.add()
        let reason = "duplicate of \(other), which has the unique key \(job.unique ?? "")"
        return await leave(claimed, job, reason)
    }

    private func expire(_ claimed: ClaimedJob, _ job: JobEnvelope) async -> StepOperation {
        metrics(of: job).expired.add()
        return await leave(claimed, job, "expired")
    }

    /// Acknowledges a job without an outcome of its own, once the product has been told.
    func leave(_ claimed: ClaimedJob, _ job: JobEnvelope, _ reason: String, ending: JobEnding? = nil) async -> StepOperation {
        let log = job.log(configuration.log, attempt: job.attempt)
        log.info("job skipped", ["reason": .string(reason)])
        if let notice = handler(of: job.kind)?.onSkip ?? configuration.onSkip {
            do {
                try await notice(job, reason)
            } catch {
                log.warning("skip could not be recorded, tried again", ["error": .string("\(error)")])
                return .retry(claimed.token, delay: .seconds(1), body: job.encoded(as: claimed))
            }
        }
        let skipped = ending ?? handler(of: job.kind).flatMap { $0.ending(job, .skipped, reason) }
        return .ack(claimed.token, historyOf: job.mayHaveHistory ? job.id : nil, flow: job.flowToEnd, ending: skipped)
    }

    /// What an attempt that begins now is bounded by: its kind's time-out, or what its job has left to live by the queue server's clock.
    private func limit(of job: JobEnvelope, _ handler: JobHandler) -> (after: Duration, interruption: JobWorkerMachine.Interruption)? {
        let timeout = handler.timeout.map { (after: $0, interruption: JobWorkerMachine.Interruption.timeout) }
        guard let expiresAtMs = job.expiresAtMs else { return timeout }
        let left = Duration.milliseconds(max(0, expiresAtMs - queueNowMs))
        // No attempt lasts so long; a timer would not reach as far as the greatest number.
        guard left < timeout?.after ?? .seconds(366 * 86_400) else { return timeout }
        return (left, .expired)
    }

    private func run(
        _ job: JobEnvelope, _ claimed: ClaimedJob, _ handler: JobHandler, worker: WorkerIdentity, nowMs: Int64
    ) async -> JobOutcome {
        let clock = configuration.clock
        let token = claimed.token
        let limit = limit(of: job, handler)
        let alarm = limit.map { limit in
            Task {
                try await clock.sleep(limit.after)
                self.interrupt(token, limit.interruption)
            }
        }
        defer { alarm?.cancel() }
        let attempt = job.attempt + 1
        var context = JobContext(
            job: job, attempt: attempt,
            isLastAttempt: attempt >= min(handler.retry.attemptsMax, job.attemptsMax ?? .max), redeliveries: claimed.redeliveries,
            worker: worker, log: configuration.log, deadlineMs: limit.map { nowMs + $0.after.wholeMilliseconds },
            token: token, effects: configuration.effects)
        context.reports = reports
        do {
            // What the job causes is a step of its trace.
            let trace = job.traceparent.flatMap { Trace(traceparent: $0) }
            let outcome =
                if let trace {
                    try await Trace.$current.withValue(trace) { [context] in try await handler.run(job, context) }
                } else {
                    try await handler.run(job, context)
                }
            if case .skipped(let reason) = outcome, let notice = handler.onSkip ?? configuration.onSkip { try await notice(job, reason) }
            return outcome
        } catch {
            if case .timeout = interruption(of: token), let timeout = handler.timeout {
                return .retry(after: nil, reason: "timed out after \(timeout)")
            }
            if case .expired = interruption(of: token) { return .retry(after: nil, reason: "expired") }
            return JobOutcome(thrown: error)
        }
    }

    /// What the queue is told about an outcome.
    private func settle(
        _ outcome: JobOutcome, _ claimed: ClaimedJob, _ job: JobEnvelope, _ handler: JobHandler, worker: WorkerIdentity
    ) async -> StepOperation {
        let token = claimed.token
        let history = job.mayHaveHistory ? job.id : nil
        let result = reports.take(token)
        let isCancelled = cancelled.isUsed && interruption(of: token) == .cancelled
        switch outcome {
        case .retry, .snooze:
            if isCancelled { return await leaveCancelled(claimed, job, worker: worker) }
            if job.expiresAtMs != nil && interruption(of: token) == .expired { return await expire(claimed, job) }
        default: if isCancelled { await cancelledTooLate(job) }
        }
        switch outcome {
        case .done:
            handler.metrics?.done.add()
            if let problem = result?.problem {
                job.log(configuration.log, attempt: job.attempt + 1).warning("result not kept", ["reason": .string(problem)])
            }
            let ending = handler.ending(job, .done, result?.problem, result: result?.bytes)
            return .ack(token, historyOf: history, flow: job.flowToEnd, ending: ending)
        case .skipped(let reason):
            handler.metrics?.skipped.add()
            job.log(configuration.log, attempt: job.attempt + 1).info("job skipped", ["reason": .string(reason)])
            return .ack(token, historyOf: history, flow: job.flowToEnd, ending: handler.ending(job, .skipped, reason))
        case .discard(let reason):
            handler.metrics?.discarded.add()
            job.log(configuration.log, attempt: job.attempt + 1).warning("job discarded", ["reason": .string(reason)])
            return .ack(token, historyOf: history, flow: job.flowToEnd, ending: handler.ending(job, .discarded, reason))
        case .bury(let reason):
            return await bury(claimed, job, reason, worker: worker, attempt: job.attempt + 1)
        case .snooze(let delay):
            if case .shutdown = interruption(of: token) { return .giveBack(token) }
            handler.metrics?.snoozed.add()
            return .retry(token, delay: delay, body: job.encoded(as: claimed))
        case .retry(let asked, let reason):
            // Not the job's fault: nothing is spent, nothing is remembered.
            if case .shutdown = interruption(of: token) { return .giveBack(token) }
            return await retry(claimed, job, handler, asked: asked, reason: reason, worker: worker)
        }
    }

    private func retry(
        _ claimed: ClaimedJob, _ job: JobEnvelope, _ handler: JobHandler, asked: Duration?, reason: String, worker: WorkerIdentity
    ) async -> StepOperation {
        let attempt = job.attempt + 1
        let nowMs = configuration.clock.now()
        let age = job.enqueuedAtMs > 0 ? Duration.milliseconds(max(0, nowMs - job.enqueuedAtMs)) : .zero
        guard attempt < job.attemptsMax ?? .max,
            let delay = handler.retry.delay(
                afterAttempt: attempt, random: configuration.random(), age: age, asked: asked, seed: RetryPolicy.seed(of: job.id), reason: reason)
        else {
            return await bury(claimed, job, "no attempt left: \(reason)", worker: worker, attempt: attempt)
        }
        handler.metrics?.retried.add()
        job.log(configuration.log, attempt: attempt).info(
            "job failed, retried later", ["reason": .string(reason), "delay_ms": .int(delay.wholeMilliseconds)])
        return .retry(
            claimed.token, delay: delay, body: job.afterAttempt().encoded(),
            history: HistoryEntry(job: job.id, attempt: attempt, atMs: nowMs, worker: worker.description, reason: reason))
    }

    /// - Parameter attempt: the attempt that led here, for the history; nil when none was made.
    private func bury(
        _ claimed: ClaimedJob, _ job: JobEnvelope, _ reason: String, worker: WorkerIdentity, attempt: Int?
    ) async -> StepOperation {
        metrics(of: job).buried.add()
        job.log(configuration.log, attempt: attempt ?? job.attempt).error("job buried", ["reason": .string(reason)])
        if let notice = configuration.onBury {
            do {
                try await notice(job, reason)
            } catch {
                job.log(configuration.log, attempt: attempt ?? job.attempt).error("burial could not be recorded", ["error": .string("\(error)")])
            }
        }
        let nowMs = configuration.clock.now()
        let entry = attempt.map { HistoryEntry(job: job.id, attempt: $0, atMs: nowMs, worker: worker.description, reason: reason) }
        return .bury(
            claimed.token, record: DeadRecord(burying: job, body: claimed.body, reason: reason, nowMs: nowMs, worker: worker), history: entry,
            flow: job.flowToEnd, ending: handler(of: job.kind).flatMap { $0.ending(job, .dead, reason) })
    }

    private func buryOpaque(_ claimed: ClaimedJob, _ reason: String, worker: WorkerIdentity) -> StepOperation {
        unknownKind.buried.add()
        configuration.log.error("body is no job, buried", ["queue": .string(queue), "reason": .string(reason)])
        return .bury(
            claimed.token,
            record: DeadRecord(buryingOpaque: claimed.body, reason: reason, nowMs: configuration.clock.now(), worker: worker))
    }

    func metrics(of job: JobEnvelope) -> KindMetrics { handler(of: job.kind)?.metrics ?? unknownKind }
}
