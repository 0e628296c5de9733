import Drafts
import Formats
import Invoicing
import JobQueue
import Ledger
import MessagePort
import Money
import Notifications
import Outbox
import Payments
import Plans
import ProviderPort
import Telemetry

extension PaymentLife {
    /// One thing that happened.
    package struct Happening: Sendable {
        package let atMs: Int64
        /// attempt, event, state, ledger, job, plan, draft, invoice, mail, sms, whatsapp, task.
        package let what: String
        package let text: String
    }

    /// What happened, in the order of time. Times are equal within a transaction; the order of the rooms then tells cause from effect.
    package var moments: [Happening] {
        happenings.enumerated().sorted { ($0.element.atMs, $0.offset) < ($1.element.atMs, $1.offset) }.map(\.element)
    }

    private var happenings: [Happening] {
        attemptHappenings + eventHappenings + auditHappenings + ledgerHappenings + jobHappenings + planHappenings + documentHappenings
            + mailHappenings
            + tasks.map { Happening(atMs: $0.createdAtMs, what: "task", text: "\($0.kind): \($0.detail)") }
    }

    private var attemptHappenings: [Happening] {
        attempts.map { attempt, references in
            let names = references.map { "\($0.kind) \($0.value)" }.joined(separator: ", ")
            let fault = [attempt.errorCode, attempt.errorText].compactMap { $0 }.joined(separator: " ")
            return Happening(
                atMs: attempt.createdAtMs, what: "attempt",
                text: "\(attempt.number) at \(attempt.provider) (\(attempt.mode)): \(names)" + (fault.isEmpty ? "" : "; \(fault)"))
        }
    }

    private var eventHappenings: [Happening] {
        events.map { event in
            let times = event.deliveries == 1 ? "" : ", delivered \(event.deliveries) times"
            return Happening(
                atMs: event.receivedAtMs, what: "event",
                text: "\(event.outcome): \(event.id) (\(event.mode), \(event.trust)\(times))" + (event.detail.map { "; \($0)" } ?? ""))
        }
    }

    private var auditHappenings: [Happening] {
        audit.map { move in
            Happening(
                atMs: move.atMs, what: "state",
                text: "\(move.from.map { "\($0) → " } ?? "")\(move.to) by \(move.actor), \(move.source)" + (move.detail.map { "; \($0)" } ?? ""))
        }
    }

    private var ledgerHappenings: [Happening] {
        entries.map { entry in
            Happening(
                atMs: entry.atMs, what: "ledger",
                text: "\(entry.amount.decimalText) \(entry.amount.currency) to \(entry.debit.code) from \(entry.credit.code): \(entry.memo)")
        }
    }

    private var jobHappenings: [Happening] {
        jobs.flatMap { job in
            var happenings = [Happening(atMs: job.createdAtMs, what: "job", text: "\(job.kind) \(job.id) made for \(job.queue)")]
            for failure in histories[job.id] ?? [] {
                happenings.append(
                    Happening(
                        atMs: failure.atMs, what: "job", text: "\(job.kind) \(job.id) attempt \(failure.attempt) failed: \(failure.reason)"))
            }
            if let finishedAtMs = job.finishedAtMs {
                let detail = job.detail.map { ": \($0)" } ?? ""
                happenings.append(
                    Happening(atMs: finishedAtMs, what: "job", text: "\(job.kind) \(job.id) \(job.outcome?.rawValue ?? "finished")\(detail)"))
            }
            return happenings
        }
    }

    private var planHappenings: [Happening] {
        planMoves.map { move in
            let cause = move.cause.rawValue.replacing("_", with: " ")
            return Happening(
                atMs: move.atMs, what: "plan",
                text: "\(move.plan), version \(move.version), of \(move.team) \(cause): \(move.status) until \(Timestamp.rfc3339(move.renewsAtMs))")
        }
    }

    private var documentHappenings: [Happening] {
        var happenings: [Happening] = []
        if let draft {
            happenings.append(
                Happening(atMs: draft.createdAtMs, what: "draft", text: "\(draft.path), \(draft.size) bytes, sha256 \(draft.sha256)"))
        }
        for invoice in invoices {
            let file = invoice.pdfPath.map { "\($0), sha256 \(invoice.pdfSHA256 ?? "")" } ?? "no file yet"
            happenings.append(
                Happening(
                    atMs: invoice.issuedAtMs, what: invoice.kind.replacing("_", with: " "), text: "\(invoice.label) (\(invoice.mode)): \(file)"))
        }
        return happenings
    }

    private var mailHappenings: [Happening] {
        mails.compactMap { mail in
            mail.sentAtMs.map { sentAtMs in
                let attempts = mail.attempts == 1 ? "" : " at attempt \(mail.attempts)"
                return Happening(
                    atMs: sentAtMs, what: Self.word(mail),
                    text: "\(mail.template) to \(Redaction.text(mail.recipient)) sent\(attempts): \(mail.subject) \(mail.messageID)")
            }
        }
    }

    /// What a message went by, or is to be tried by first.
    private static func word(_ message: NotificationRecord) -> String {
        message.channel == MessageChannel.email.rawValue ? "mail" : message.channel
    }

    /// What has not come to its end yet.
    package var stillOpen: [String] {
        let jobs = jobs.filter { $0.outcome == nil }.map { job in
            "job \(job.kind) \(job.id) " + (job.publishedAtMs == nil ? "is not on its queue yet" : "is on its queue or in hand")
        }
        let mails = mails.filter { $0.sentAtMs == nil }.map { mail in
            "\(Self.word(mail)) \(mail.template) to \(Redaction.text(mail.recipient)) is \(mail.state)"
                + (mail.error.map { ": \(Redaction.text($0))" } ?? "")
        }
        return jobs + mails + tasks.map { "task \($0.kind): \($0.detail)" }
    }
}
