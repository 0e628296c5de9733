/// Placeholder of the room Cryptography, replaced by its first file.
enum CryptographyRoom {}
