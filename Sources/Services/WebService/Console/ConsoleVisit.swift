import Formats
import HTTPServer
import Staff

/// A request of somebody who is signed in, or is about to be.
struct ConsoleVisit: Sendable {
    let call: WebCall
    let session: StaffSession
    /// What the browser has; never shown.
    let sessionID: String
    /// Of a form, its token left out.
    let fields: [String: String]
    let place: SignIn.Place
    let nowMs: Int64

    var user: StaffUser { session.user }
    /// Who acts, in audit rows of every room.
    var actor: String { user.actor }
    var words: Words { Words(user.language) }

    func may(_ role: StaffRole) -> Bool { user.role >= role }

    /// What every form of theirs carries.
    var token: Markup { "<input type=\"hidden\" name=\"\(ConsoleGate.tokenField)\" value=\"\(StaffSession.formToken(of: sessionID))\"/>" }

    /// A text of the form without what stands around it; nil when there is none.
    func text(_ name: String, limit: Int = 500) throws(WebProblem) -> String? {
        guard let typed = fields[name] else { return nil }
        let text = String(typed.trimmingBlanks)
        guard !text.isEmpty else { return nil }
        guard text.count <= limit else { throw .invalid(name, "must have at most \(limit) characters") }
        guard text.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 || $0 == "\n" || $0 == "\r" || $0 == "\t" }) else {
            throw .invalid(name, "must not contain control characters")
        }
        guard !CardNumber.isIn(text) else { throw .invalid(name, "must not hold the number of a card") }
        return text
    }

    /// A text that must be there.
    func required(_ name: String, limit: Int = 500) throws(WebProblem) -> String {
        guard let text = try text(name, limit: limit) else { throw .invalid(name, "is required") }
        return text
    }

    /// Where a deed leads back to: a page of the console that the form names, or the one given.
    func back(_ standard: String) -> String { ConsolePath.isOwn(fields["back"]) ?? standard }

    /// After a deed: the page it leads back to, which says that it is done.
    func done(_ note: ConsoleNote, _ standard: String) -> HTTPResponse {
        let path = back(standard)
        return .redirect(303, path + (path.contains("?") ? "&" : "?") + "done=\(note.rawValue)")
    }
}

extension String {
    var trimmingBlanks: Substring {
        var text = self[...]
        while let first = text.first, first.isWhitespace { text = text.dropFirst() }
        while let last = text.last, last.isWhitespace { text = text.dropLast() }
        return text
    }
}

/// Paths of the console.
enum ConsolePath {
    static let root = "/console/"
    static let signIn = "/console/sign-in"

    static func payment(_ id: String) -> String { "/console/payments/\(PercentEncoding.encodePathSegment(id))/" }
    static func event(_ id: String) -> String { "/console/events/\(PercentEncoding.encodePathSegment(id))/" }
    static func kit(_ inquiry: String) -> String { "/console/kits/\(PercentEncoding.encodePathSegment(inquiry))/" }
    static func provider(_ name: String) -> String { "/console/providers/\(PercentEncoding.encodePathSegment(name))/" }
    static func team(_ id: String) -> String { "/console/teams/\(PercentEncoding.encodePathSegment(id))/" }
    static func template(_ version: Int64) -> String { "/console/templates/\(version)/" }
    static func prompt(_ language: String, _ version: Int64) -> String { "/console/prompts/\(language)/\(version)/" }
    static func dead(_ queue: String) -> String { "/console/queues/\(PercentEncoding.encodePathSegment(queue))/dead" }

    /// A path of the console itself; nil for anything else, so that nobody can be sent elsewhere by a link they trust.
    static func isOwn(_ text: String?) -> String? {
        guard let text, text.utf8.count <= 500, text.hasPrefix(root) else { return nil }
        let plain = "-._~/?&=%+:@,".utf8
        let isPlain = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || plain.contains(byte)
        }
        return isPlain && !text.contains("//") && !text.contains("..") ? text : nil
    }

    /// The same query with other values: nil takes a name out.
    static func query(_ pairs: [(String, String?)]) -> String {
        let given = pairs.compactMap { name, value in value.map { "\(name)=\(PercentEncoding.encodePathSegment($0).replacing("&", with: "%26"))" } }
        return given.isEmpty ? "" : "?" + given.joined(separator: "&")
    }
}

/// What was done, told on the page after it. Only these can be told: what stands in an address is never shown.
enum ConsoleNote: String, CaseIterable {
    case asked, refunded, waits, approved, refused, accepted, decided, settled, replayed, retried, buried, ran, paused, resumed
    case added, changed, ended, signedOut = "signed-out", uploaded, published, revoked, reissued, regenerating, saved
    case switchedOff = "switched-off", switchedOn = "switched-on", installed, activated

    func sentence(_ words: Words) -> String {
        switch self {
        case .asked: words("Le prestataire est interrogé ; la réponse suit.", "The provider is being asked; its answer follows.")
        case .refunded: words("Le remboursement est en route.", "The refund is on its way.")
        case .waits: words("Cela attend une deuxième personne.", "This waits for a second person.")
        case .approved: words("Approuvé : le remboursement est en route.", "Approved: the refund is on its way.")
        case .refused: words("La demande est refusée.", "The request is refused.")
        case .accepted: words("La somme reçue vaut paiement.", "What came in counts as payment.")
        case .decided: words("La décision est enregistrée.", "The decision is recorded.")
        case .settled: words("La tâche est close.", "The task is closed.")
        case .replayed: words("L’événement est repris.", "The event is taken up again.")
        case .retried: words("Le travail est de nouveau en file.", "The job is back on its queue.")
        case .buried: words("Le travail est oublié ; sa trace reste.", "The job is forgotten; its record stays.")
        case .ran: words("L’entrée est lancée.", "The entry was run.")
        case .paused: words("L’entrée est suspendue.", "The entry is paused.")
        case .resumed: words("L’entrée reprend.", "The entry goes on.")
        case .added: words("C’est ajouté.", "It is added.")
        case .changed: words("C’est changé.", "It is changed.")
        case .ended: words("La session est terminée.", "The session is ended.")
        case .signedOut: words("Vous êtes déconnecté.", "You are signed out.")
        case .uploaded: words("Le document final est déposé.", "The final document is uploaded.")
        case .published: words("Publié : le lien part au client.", "Published: the link goes out to the customer.")
        case .revoked: words("Les liens ne valent plus rien.", "The links are worth nothing any more.")
        case .reissued: words("Un nouveau lien part au client.", "Another link goes out to the customer.")
        case .regenerating: words("Un nouveau brouillon se prépare.", "A new draft is being made.")
        case .saved: words("C’est enregistré.", "It is saved.")
        case .switchedOff: words("Ce moyen n’est plus proposé.", "This way is not offered any more.")
        case .switchedOn: words("Ce moyen est de nouveau proposé.", "This way is offered again.")
        case .installed: words("Le modèle est vérifié et installé.", "The template is checked and installed.")
        case .activated: words("Cette version est en service.", "This version is in use.")
        }
    }
}
