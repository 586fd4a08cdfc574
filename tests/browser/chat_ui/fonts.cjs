// The app takes a font from a server of others while it is built. What the page says doesn't hang on it.
const FONT = "@font-face { font-family: 'Inter'; font-weight: 100 900; src: local('DejaVu Sans'); }";
module.exports = new Proxy({}, { get: (_, address) => (String(address).startsWith("https://fonts.") ? FONT : undefined) });
