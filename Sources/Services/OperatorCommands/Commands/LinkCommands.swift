import Access
import Database
import Formats
import JobQueue
import Notifications
import Outbox
import Payments
import Settings

/// `quittance link …`: signed links to a payment's page.
enum LinkCommands {
    static let commands = [make, send, revoke]
    private static let payment = CommandSyntax.Operand.needed("PAYMENT", "its id: pay_…")

    private static let make = Command(
        CommandSyntax(
            "link make", "make a payment link: a page where whoever has it can pay", operands: [payment],
            options: [
                .value("--hours", "N", "how long it is good; \(PaymentLink.standardLifeMs / 3_600_000) unless given"),
                .flag("--watch", "it shows where the payment stands, and no more"), .json,
            ], notes: ["A paid payment's link shows that it is paid and never takes money twice."])
    ) { invocation, context in
        let hours = try invocation.number(
            "--hours", in: 1...Int(PaymentLink.longestLifeMs / 3_600_000), standard: Int(PaymentLink.standardLifeMs / 3_600_000))
        guard let secret = context.settings.secretKey else {
            throw CommandFailure(.failed, "SECRET_KEY is not set, so that no link can be signed")
        }
        let purpose: PaymentLink.Purpose = invocation.has("--watch") ? .watch : .pay
        let (id, nowMs) = (invocation.operands[0], context.nowMs())
        let generation = try await onPayment(id, context) { database in
            try await database.write { connection in
                let payment = try PaymentStore.require(id, in: connection)
                if purpose == .pay { try PaymentStore.noteAsked(for: payment, nowMs: nowMs, in: connection) }
                return try PaymentLinks.generation(of: payment.id, in: connection)
            }
        }
        let made = PaymentLink(secret: secret.value).token(
            for: id, purpose, generation: generation, lifeMs: Int64(hours) * 3_600_000, nowMs: nowMs)
        guard let made else { throw CommandFailure(.notFound, "there is no payment \(id)") }
        let url = "\(context.settings.baseURL)/pay/\(made.text)"
        if invocation.wantsJSON {
            context.output.json([
                "payment": .string(id), "purpose": .string(purpose.word), "url": .string(url),
                "expires_at": .string(Timestamp.rfc3339(made.expiresAtMs)),
            ])
        } else {
            context.output.line(url)
            context.output.line("Good until \(Timestamp.rfc3339(made.expiresAtMs)).")
        }
        return .ok
    }

    private static let send = Command(
        CommandSyntax(
            "link send", "send the customer a payment link, by the channel that reaches them", operands: [payment],
            notes: ["The link is signed where it is sent and good for \(PaymentLink.standardLifeMs / 86_400_000) days. Each call sends one."])
    ) { invocation, context in
        guard context.settings.secretKey != nil else {
            throw CommandFailure(.failed, "SECRET_KEY is not set, so that no link can be signed")
        }
        let (id, nowMs) = (invocation.operands[0], context.nowMs())
        try await onPayment(id, context) { database in
            let outbox = context.relay(database).outbox
            let added = try await database.write { connection in
                let payment = try PaymentStore.require(id, in: connection)
                guard payment.state.isOpen || [.failed, .cancelled, .expired, .partiallyPaid].contains(payment.state) else {
                    throw CommandFailure(.failed, "payment \(id) is \(payment.state.rawValue): there is nothing to pay")
                }
                let requests = try SendNotification.paymentLink(to: payment, cause: "operator:\(nowMs)")
                for request in requests { try outbox.add(request, nowMs: nowMs, in: connection) }
                try PaymentStore.noteAsked(for: payment, nowMs: nowMs, in: connection)
                return requests.count
            }
            guard added > 0 else { throw CommandFailure(.failed, "payment \(id) has neither e-mail address nor telephone number") }
            _ = try await context.publishOwnJobs(database)
        }
        context.output.line("a link to \(id) is on its way to its customer")
        return .ok
    }

    private static let revoke = Command(
        CommandSyntax("link revoke", "take back every link that was made to a payment", operands: [payment])
    ) { invocation, context in
        let (id, nowMs) = (invocation.operands[0], context.nowMs())
        try await onPayment(id, context) { database in
            try await database.write { connection in
                try PaymentLinks.revoke(try PaymentStore.require(id, in: connection).id, nowMs: nowMs, in: connection)
            }
        }
        context.output.line("every link to \(id) is taken back; new ones can be made")
        return .ok
    }

    private static func onPayment<Value: Sendable>(
        _ id: String, _ context: CommandContext, _ body: (Database) async throws -> Value
    ) async throws -> Value {
        try await context.withDatabase { database in
            do {
                return try await body(database)
            } catch PaymentError.notFound {
                throw CommandFailure(.notFound, "there is no payment \(id)")
            }
        }
    }
}
