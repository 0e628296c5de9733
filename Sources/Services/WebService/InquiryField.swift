/// A field of the Kit's form, in the words that customers and staff read.
struct InquiryField: Sendable {
    enum Kind { case line(type: String), area }

    let name: String
    let french: String
    let english: String
    var kind = Kind.line(type: "text")
    var isRequired = false
    /// What the form says behind the field's name.
    var frenchHint = ""
    var englishHint = ""

    /// In the order of the form.
    static let all = [
        InquiryField(name: "organization_name", french: "Nom de l’organisation", english: "Name of the organisation", isRequired: true),
        InquiryField(name: "contact_name", french: "Personne de contact", english: "Contact person", isRequired: true),
        InquiryField(name: "email", french: "E-mail", english: "E-mail", kind: .line(type: "email"), isRequired: true),
        InquiryField(
            name: "phone", french: "Téléphone", english: "Phone", kind: .line(type: "tel"), frenchHint: " (forme internationale, +225…)",
            englishHint: " (international form, +225…)"),
        InquiryField(name: "statut_juridique", french: "Statut juridique", english: "Legal status"),
        InquiryField(name: "location", french: "Lieu", english: "Location"),
        InquiryField(name: "sector", french: "Secteur", english: "Sector"),
        InquiryField(name: "mission_text", french: "Mission", english: "Mission", kind: .area),
        InquiryField(name: "context_text", french: "Contexte", english: "Context", kind: .area),
        InquiryField(name: "budget_range", french: "Budget", english: "Budget"),
        InquiryField(name: "funding_sources", french: "Sources de financement", english: "Sources of funding"),
        InquiryField(name: "audits_types", french: "Types d’audits", english: "Kinds of audit"),
        InquiryField(name: "audits_frequency", french: "Fréquence des audits", english: "Frequency of audits"),
        InquiryField(name: "staff_size", french: "Effectif", english: "Size of the staff"),
        InquiryField(name: "org_chart_text", french: "Organigramme", english: "Organisation chart", kind: .area),
        InquiryField(name: "notes_text", french: "Remarques", english: "Notes", kind: .area),
        InquiryField(
            name: "documents_count", french: "Nombre de documents fournis par ailleurs", english: "Number of documents handed in otherwise",
            kind: .line(type: "number")),
    ]

    /// A field's name in the reader's language; its own name where the form has none of that name.
    static func label(_ name: String, _ words: Words) -> String {
        all.first { $0.name == name }.map { words($0.french, $0.english) } ?? name
    }
}
