import Formats
import Money
import Payments

/// The tab of what was paid.
struct TeamPaymentsPanel {
    let content: TeamPageContent
    let words: Words
    let form: Markup

    var markup: Markup {
        """
        \(codes)
        <section class="card">
        <h2>\(words("Payer", "Pay"))</h2>
        \(form)
        </section>
        <section class="card">
        <h2>\(words("Historique", "History"))</h2>
        \(history)
        </section>
        """
    }

    /// The attempt under way, if its code can be shown: to be scanned by the phone that pays.
    private var codes: Markup {
        guard
            let line = content.payments.first(where: { line in
                line.payment.state.isOpen && line.attempt.map { isPayable($0) && $0.qrCode.map(PaymentCode.isImage) == true } == true
            }), let code = line.attempt?.qrCode
        else { return .empty }
        let title = words("Payer par téléphone", "Pay by phone")
        let amount = UsageWords.amount(line.payment.amount, words)
        return """
            <section class="card code">
            <h2>\(title)</h2>
            <p><img src="\(code)" width="220" height="220" alt="\(words("Code QR du paiement", "QR code of the payment"))"/></p>
            <p>\(words("Scannez ce code pour payer \(amount).", "Scan this code to pay \(amount)."))</p>
            </section>
            """
    }

    private func isPayable(_ attempt: PaymentAttempt) -> Bool { attempt.isOpen && (attempt.expiresAtMs ?? .max) > content.nowMs }

    private var history: Markup {
        guard !content.payments.isEmpty else { return "<p class=\"hint\">\(words("Aucun paiement.", "No payments."))</p>" }
        let rows: [Markup] = content.payments.map(row)
        return """
            <table class="history">
            <thead><tr><th scope="col">\(words("Date", "Date"))</th><th scope="col">\(words("Moyen", "Method"))</th>\
            <th scope="col">\(words("Montant", "Amount"))</th><th scope="col">\(words("État", "Status"))</th></tr></thead>
            <tbody>
            \(rows)</tbody>
            </table>
            """
    }

    private func row(_ line: TeamPageContent.PaymentLine) -> Markup {
        let status = TeamPayment.word(for: line.payment.state)
        let method = line.attempt?.method.map { UsageWords.method($0, words) } ?? "–"
        return """
            <tr><td>\(UsageWords.shortDay(line.payment.createdAtMs, words))</td><td>\(method)</td><td>\(UsageWords.amount(line.payment.amount, words))</td>\
            <td><span class="badge \(UsageWords.colour(of: line.payment.state))">\(UsageWords.status(status, words))</span>\(goOn(line))</td></tr>

            """
    }

    private func goOn(_ line: TeamPageContent.PaymentLine) -> Markup {
        guard line.payment.state == .pending || line.payment.state == .created, let attempt = line.attempt, isPayable(attempt),
            let url = attempt.paymentURL, SafeLink.isSafe(url)
        else { return .empty }
        return " <a href=\"\(url)\" rel=\"noreferrer\">\(words("continuer", "continue"))</a>"
    }
}

/// Codes that a provider draws itself.
enum PaymentCode {
    static let lengthMax = 200_000

    /// Whether it is a picture that can be shown as it is.
    static func isImage(_ code: String) -> Bool {
        guard code.utf8.count <= lengthMax, let comma = code.firstIndex(of: ",") else { return false }
        let isKnown = ["data:image/png;base64", "data:image/jpeg;base64", "data:image/gif;base64", "data:image/svg+xml;base64"].contains(
            String(code[..<comma]))
        return isKnown
            && code[code.index(after: comma)...].utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || "+/=".utf8.contains(byte)
            }
    }
}
