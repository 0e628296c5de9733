import Money
import Operating
import Payments
import ProviderPort
import Telemetry

extension PaymentLife {
    /// The head, then what happened in the order of time, then what is still open.
    var text: String {
        var lines = head + [""]
        let moments = moments
        let width = moments.map(\.what.count).max() ?? 0
        for moment in moments {
            let gap = String(repeating: " ", count: width - moment.what.count + 2)
            lines.append("\(PlainTime.text(moment.atMs))  \(moment.what)\(gap)\(moment.text.onOneLine)")
        }
        let open = stillOpen
        if !open.isEmpty { lines += ["", "Still open"] + open.map { "  " + $0.onOneLine } }
        if let redisProblem { lines += ["", "Failed attempts of jobs are not shown: \(redisProblem)"] }
        return lines.joined(separator: "\n") + "\n"
    }

    private var head: [String] {
        let customer = [
            payment.customer.name, payment.customer.email.map(Redaction.text), payment.customer.phone.map(Redaction.telephone),
            payment.customer.language,
        ]
        return [
            "Payment \(payment.id) is \(payment.state.rawValue)",
            "  \(payment.amount.decimalText) \(payment.amount.currency) for \(payment.purpose)"
                + " \(payment.subject): \(payment.description.onOneLine)",
            "  customer: \(customer.compactMap { $0 }.joined(separator: ", ").onOneLine)",
        ]
    }
}
