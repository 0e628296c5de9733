/// Tokens of Orange's guide, which stand in hundreds of public programs: whoever runs with them takes payments from everybody.
enum PublicSamples {
    private static let notificationToken = "dd497bda3b250e536186fc0663f32f40"
    private static let payTokenStart = "f5720dd9"
    private static let payTokenEnd = "ab9a"

    static func contains(_ value: String) -> Bool {
        let text = value.lowercased()
        return text == notificationToken || (text.utf8.count == 64 && text.hasPrefix(payTokenStart) && text.hasSuffix(payTokenEnd))
    }
}
