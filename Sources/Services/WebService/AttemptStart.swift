import Access
import Database
import Drafts
import Formats
import HTTPServer
import JobQueue
import Outbox
import Payments
import ProviderPort
import Telemetry

/// Starts attempts at providers. Our side is committed *before* the call, so that whatever becomes of it, the provider's
/// webhook and the reconciliation find the attempt.
struct AttemptStart: Sendable {
    /// Attempts that a repeated click leads to again: so young, open and with an address to pay at.
    static let reuseForMs: Int64 = 10 * 60_000
    let database: Database
    let events: PaymentEvents
    let transport: any ProviderTransport
    let baseURL: String
    let ingestURL: String
    let log: Log
    let nowMs: @Sendable () -> Int64
    /// Where calls to providers are recorded before and after they are made.
    let effects: Effects
    /// This process as an owner of effects.
    private let identity = WorkerIdentity(name: "web")

    init(
        database: Database, events: PaymentEvents, transport: any ProviderTransport, baseURL: String, ingestURL: String, log: Log,
        nowMs: @escaping @Sendable () -> Int64
    ) {
        self.database = database
        self.events = events
        self.transport = transport
        self.baseURL = baseURL
        self.ingestURL = ingestURL
        self.log = log
        self.nowMs = nowMs
        effects = Effects(
            store: EffectTable(database: database), owners: TimedOwners(patience: .milliseconds(AttemptIntent.callMaxMs), nowMs: nowMs),
            clock: JobClock(now: nowMs, sleep: JobClock.system.sleep), log: log)
    }

    struct Plan: Sendable {
        let provider: String
        var method: String?
        /// Minor units of a part payment; nil for all that is still owed.
        var amount: Int64?
        /// Another phone than the customer's own, for this attempt.
        var phone: String?
        var cancelURL: String?
        /// Whether attempts that still wait give way to this one.
        var replaces = false
        var network: String?
        /// A code that the customer fetched for this start; never kept.
        var otp: String?
        /// Where the customer's browser goes afterwards; nil for our own page.
        var returnURL: String?
        let actor: String
        var claim: IdempotentCalls.Claim?
        /// Whether an attempt that is under way already will do.
        var reuses = false
        /// What the customer told for this attempt alone, beside the payment's own metadata; never kept.
        var told: [String: String] = [:]
    }

    /// A started attempt as it now stands.
    struct Started: Sendable {
        let payment: Payment
        let attempt: PaymentAttempt
        let references: [ProviderReference]
    }

    /// Starts an attempt of the payment that `open` finds or creates; both are one transaction.
    /// - Throws: ``WebProblem``; the errors of `open`.
    func callAsFunction(_ plan: Plan, open: @escaping @Sendable (Connection) throws -> Payment) async throws -> Started {
        let adapter = try adapter(named: plan.provider)
        let now = nowMs()
        let (payment, attempt) = try await database.write { connection in
            try enter(plan, open, at: adapter, nowMs: now, in: connection)
        }
        // Started before, or, where a run that died is taken over, over by now: nobody is to pay by it any more.
        guard attempt.paymentURL == nil, attempt.isPayable(of: payment) else { return try await standing(of: attempt.id) }
        let log = log.with(payment.logFields).with(attempt.logFields)
        let initiation: Initiation
        let heard = ListeningTransport(transport)
        do {
            initiation = try await initiate(payment, attempt, plan, at: adapter, over: heard)
        } catch let error as EffectError {
            throw try await unresolved(error, payment, attempt, plan, heard)
        } catch let error as ProviderError {
            log.warning("an attempt could not be started", ["kind": .string(error.kind.rawValue), "error": .string(error.message)])
            throw try await refused(error, payment, attempt, plan, heard)
        }
        log.info("attempt started")
        let started = nowMs()
        return try await database.write { connection in
            try PaymentStore.recordInitiation(initiation, attempt: attempt.id, nowMs: started, in: connection)
            try ProviderAnswers.keep(heard.answers, of: .initiate, attempt: attempt.id, nowMs: started, in: connection)
            let source = PaymentFacts.Source(actor: plan.actor, reference: "initiate \(attempt.id)")
            let said = initiation.notice ?? ProviderNotice(references: [], claim: .pending)
            try events.facts.record(said, attempt: attempt, source: source, nowMs: started, in: connection)
            if payment.purpose == KitPurpose.name { try InquiryStore.markPending(payment.subject, nowMs: started, in: connection) }
            // The provider may have told more than we knew how to match before its answer was here.
            try events.rematch(attempt, nowMs: started, in: connection)
            return try Self.standing(of: attempt.id, in: connection)
        }
    }

    /// Calls the provider, once for an attempt: a run that died after the call finds out what became of it.
    private func initiate(
        _ payment: Payment, _ attempt: PaymentAttempt, _ plan: Plan, at adapter: any PaymentProvider, over transport: any ProviderTransport
    ) async throws -> Initiation {
        let owner = EffectOwner(queue: "web", worker: identity.description, token: .random(in: .min ... .max), job: attempt.id)
        let order = order(payment, attempt, plan, at: adapter)
        let policy = policy(adapter, payment, attempt)
        let kept = try await effects.run(AttemptIntent.effect, key: attempt.id, policy: policy, owner: owner) { _ in
            KeptInitiation(try await adapter.initiate(order, over: transport))
        }
        guard let initiation = kept.initiation else {
            throw ProviderError(.unavailable, "the attempt was started before, and where to pay was lost", code: "answer_lost")
        }
        return initiation
    }

    private func policy(_ adapter: any PaymentProvider, _ payment: Payment, _ attempt: PaymentAttempt) -> EffectPolicy<KeptInitiation> {
        guard adapter.capabilities.callsToStart else { return .againVisibly }
        guard adapter.capabilities.statusReferenceKinds.contains("ours") else { return .onceThenTask }
        return .ask { [transport] _ in
            do throws(ProviderError) {
                let question = StatusQuestion(
                    payment: payment.id, attempt: attempt.id, amount: attempt.asked(of: payment), references: [.ours(attempt.id)],
                    createdAtMs: attempt.createdAtMs)
                let notice = try await adapter.status(of: question, over: transport)
                // The attempt's id names one payment there: where nothing is said of it, a start under the same id makes no second one.
                return notice.claim == .unknown ? .didNotHappen : .happened(KeptInitiation())
            } catch {
                guard error.kind == .notFound else { throw error }
                return .didNotHappen
            }
        }
    }

    /// What is told when another run of the same call is at it, or nobody knows what became of it.
    private func unresolved(
        _ error: EffectError, _ payment: Payment, _ attempt: PaymentAttempt, _ plan: Plan, _ heard: ListeningTransport
    ) async throws -> WebProblem {
        switch error {
        case .busy, .fenced: return .startingAlready
        case .doubtful, .unanswered, .unreadable, .noStore:
            log.error("nobody knows whether an attempt was started", ["attempt": .string(attempt.id), "error": .string("\(error)")])
            return try await refused(ProviderError(.unavailable, "\(error)", code: "in_doubt"), payment, attempt, plan, heard)
        }
    }

    /// - Throws: ``WebProblem`` 404 or 422.
    func adapter(named name: String) throws(WebProblem) -> any PaymentProvider {
        guard let adapter = events.providers[name] else {
            throw .notOn(name, events.providers)
        }
        guard adapter.capabilities.hasInitiate else { throw .invalid("provider", "\(name) has no call that starts a payment") }
        return adapter
    }

    private func enter(
        _ plan: Plan, _ open: (Connection) throws -> Payment, at adapter: any PaymentProvider, nowMs: Int64, in connection: Connection
    ) throws -> (Payment, PaymentAttempt) {
        // A run that died had come this far: the provider knows the attempt by its id, so a second call makes no second payment. What has
        // become of attempt and payment meanwhile is the caller's to look at.
        if let made = plan.claim?.made {
            let attempt = try PaymentStore.requireAttempt(made, in: connection)
            return (try PaymentStore.require(attempt.payment, in: connection), attempt)
        }
        var plan = plan
        plan.method = try method(of: plan, at: adapter, in: connection)
        let payment = try open(connection)
        try refuseWhileUndecided(payment, in: connection)
        if plan.reuses, let attempt = try reusable(of: payment, plan, nowMs: nowMs, in: connection) { return (payment, attempt) }
        let mode = events.providers.mode(of: plan.provider) ?? "sandbox"
        let attempt = try PaymentStore.startAttempt(
            of: payment, provider: plan.provider, mode: mode, method: plan.method, network: plan.network, amount: plan.amount,
            capabilities: events.providers.known(plan.provider)?.capabilities, nowMs: nowMs, in: connection)
        try plan.claim?.note(attempt.id, in: connection)
        if plan.replaces { try events.facts.replaceOpenAttempts(of: payment, by: attempt, actor: plan.actor, nowMs: nowMs, in: connection) }
        return (payment, attempt)
    }

    /// The method to ask for, so that the attempt cannot go by a way that staff switched off.
    /// - Throws: ``WebProblem`` 422 where it would; nothing is entered then.
    private func method(of plan: Plan, at adapter: any PaymentProvider, in connection: Connection) throws -> String? {
        let switches = try NetworkSwitches.read(in: connection)
        do throws(ProviderError) {
            return try switches.method(plan.method, network: plan.network, at: adapter)
        } catch {
            throw WebProblem(status: 422, title: "Not offered", detail: error.message, extra: [("provider", .string(plan.provider))])
        }
    }

    /// While nobody knows whether an attempt was started, a second one might make the customer pay twice.
    private func refuseWhileUndecided(_ payment: Payment, in connection: Connection) throws {
        let attempts = try PaymentStore.attempts(of: payment.id, in: connection)
        guard let undecided = try attempts.first(where: { try $0.isOpen && AttemptIntent.isUndecided($0.id, in: connection) }) else { return }
        throw WebProblem.conflict(
            "nobody knows yet whether attempt \(undecided.id) was started at \(undecided.provider); it is being asked about",
            extra: [("attempt", .string(undecided.id))], afterSeconds: 60)
    }

    private func reusable(of payment: Payment, _ plan: Plan, nowMs: Int64, in connection: Connection) throws -> PaymentAttempt? {
        let young = try PaymentStore.attempts(of: payment.id, in: connection).filter {
            $0.isPayable(of: payment) && $0.provider == plan.provider && (plan.method == nil || $0.method == plan.method) && $0.errorCode == nil
                && nowMs - $0.createdAtMs < Self.reuseForMs
        }
        if let ready = young.last(where: { $0.paymentURL != nil && ($0.expiresAtMs ?? .max) > nowMs }) { return ready }
        if young.contains(where: { $0.paymentURL == nil && nowMs - $0.createdAtMs < AttemptIntent.callMaxMs }) {
            throw WebProblem.startingAlready
        }
        return nil
    }

    private func order(_ payment: Payment, _ attempt: PaymentAttempt, _ plan: Plan, at adapter: any PaymentProvider) -> PaymentOrder {
        let ours = "\(baseURL)/payments/\(plan.provider)/return/?attempt=\(attempt.id)"
        return PaymentOrder(
            payment: payment.id, attempt: attempt.id, amount: attempt.asked(of: payment), description: payment.description,
            customer: plan.phone.map { payment.customer.reached(at: $0) } ?? payment.customer,
            notifyURL: notifyURL(of: payment, attempt, at: adapter), returnURL: plan.returnURL ?? ours,
            cancelURL: plan.cancelURL, pageURL: "\(baseURL)/payments/\(plan.provider)/pay/?transaction_id=\(attempt.id)", method: attempt.method,
            network: attempt.network, otp: plan.otp,
            metadata: payment.metadata.merging(plan.told) { own, told in own.isEmpty ? told : own })
    }

    private func notifyURL(of payment: Payment, _ attempt: PaymentAttempt, at adapter: any PaymentProvider) -> String {
        let plain = "\(ingestURL)/webhooks/\(adapter.name)"
        let capability = adapter.addressSigner?.capability(provider: adapter.name, payment: payment.id, attemptNumber: attempt.number)
        return capability.map { "\(plain)/\(payment.id)/\($0)" } ?? plain
    }

    /// Records why an attempt was not started. One that was certainly not carried out has failed; one whose outcome is unknown
    /// stays open, and the reconciliation asks about it.
    private func refused(
        _ error: ProviderError, _ payment: Payment, _ attempt: PaymentAttempt, _ plan: Plan, _ heard: ListeningTransport
    ) async throws -> WebProblem {
        let refusal = StartRefusal(error, provider: plan.provider)
        let notice = ProviderNotice(
            references: [], claim: error.effectCannotHaveHappened ? .failed : .unknown, errorCode: error.code ?? error.kind.rawValue,
            errorText: error.message)
        let now = nowMs()
        let source = PaymentFacts.Source(actor: plan.actor, reference: "initiate \(attempt.id)")
        let answers = heard.answers
        try await database.write { connection in
            try ProviderAnswers.keep(answers, of: .initiate, attempt: attempt.id, nowMs: now, in: connection)
            try events.facts.record(notice, attempt: attempt, source: source, nowMs: now, in: connection)
        }
        var problem = refusal.problem(payment: payment.id, attempt: attempt.id)
        problem.about = payment.searchFields(attempt, [])
        return problem
    }

    private func standing(of attempt: String) async throws -> Started {
        try await database.read { try Self.standing(of: attempt, in: $0) }
    }

    private static func standing(of id: String, in connection: Connection) throws -> Started {
        let attempt = try PaymentStore.requireAttempt(id, in: connection)
        return Started(
            payment: try PaymentStore.require(attempt.payment, in: connection), attempt: attempt,
            references: try PaymentStore.references(of: id, in: connection))
    }
}

extension WebProblem {
    fileprivate static let startingAlready = conflict("the payment is being started already; try again in a few seconds", afterSeconds: 5)
}

/// What a provider's refusal to start an attempt means for the caller.
struct StartRefusal: Sendable {
    let error: ProviderError
    let provider: String

    init(_ error: ProviderError, provider: String) {
        self.error = error
        self.provider = provider
    }

    func problem(payment: String, attempt: String) -> WebProblem {
        var extra: [(String, JSON)] = [("provider", .string(provider)), ("payment", .string(payment)), ("attempt", .string(attempt))]
        if let code = error.code { extra.append(("provider_code", .string(code))) }
        let retry = [("Retry-After", String(error.retryAfterSeconds ?? 10))]
        switch error.kind {
        case .rejected, .notOffered:
            return WebProblem(status: 422, title: "Refused by the provider's rules", detail: error.message, extra: extra)
        case .throttled:
            return WebProblem(
                status: 503, title: "The provider is busy", detail: "nothing was started; try again later", extra: extra, headers: retry)
        case .held:
            return WebProblem(
                status: 503, title: "The provider is not called now", detail: "\(error.message); nothing was started, try again later",
                extra: extra, headers: retry)
        case .unavailable where error.effectCannotHaveHappened:
            return WebProblem(
                status: 503, title: "The provider cannot be reached", detail: "nothing was started; try again later", extra: extra, headers: retry)
        case .misconfigured, .notFound:
            return WebProblem(
                status: 502, title: "The provider refuses us", detail: "nothing was started; the provider's settings must be looked at",
                extra: extra)
        case .unavailable, .unreadable:
            return WebProblem(
                status: 502, title: "Outcome unknown",
                detail: "\(provider) gave no answer that tells whether the attempt was started; it stays open and will be asked about",
                extra: extra)
        }
    }
}
