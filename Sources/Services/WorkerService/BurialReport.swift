import Database
import ErrorReports
import JobQueue
import Payments
import ProviderPort
import Telemetry

/// What is told of a buried job: everything that people search by, read from SQL where the job names a payment.
struct BurialReport: Sendable {
    let database: Database

    func tell(_ job: JobEnvelope, _ reason: String) async {
        guard ErrorReports.isOn else { return }
        var fields: [String: String?] = [
            "job": job.id, "kind": job.kind, "queue": job.queue, "payment": job.payment, "trace": job.traceparent,
        ]
        if let payment = job.payment {
            // A database that is away is no reason to keep the burial quiet.
            let known = try? await database.read { try Self.fields(of: payment, in: $0) }
            fields.merge(known ?? [:]) { $1 }
        }
        let fingerprint = [ErrorFingerprint(kind: job.kind, reason: reason).description]
        ErrorReports.report(ErrorReport("job buried", detail: reason, fields: fields, fingerprint: fingerprint))
    }

    static func fields(of payment: String, in connection: Connection) throws -> [String: String?] {
        guard let payment = try PaymentStore.find(payment, in: connection) else { return [:] }
        var fields: [String: String?] = [payment.purpose == "kit" ? "inquiry_id" : "subject": payment.subject]
        guard let attempt = try PaymentStore.attempts(of: payment.id, in: connection).last else { return fields }
        fields["provider"] = attempt.provider
        fields["mode"] = attempt.mode
        fields["order_id"] = payment.metadata["order_id"] ?? attempt.id
        let references = try PaymentStore.references(of: attempt.id, in: connection)
        fields["provider_ref"] = references.first { !["ours", "order"].contains($0.kind) }?.value ?? attempt.id
        return fields
    }
}
