// The emoji that are offered; others can be typed or pasted.

export const quick = ['👍', '❤️', '😂', '😮', '😢', '🎉']

const groups = [
  '😀 😃 😄 😁 😅 😂 🙂 🙃 😉 😊 😇 🥰 😍 😘 😋 😜 🤪 🤗 🤭 🤔 🤐 😐 😏 😒 🙄 😬 😌 😔 😴 😷 🤒 🤯 🤠 🥳 😎 🤓 😕 😟 🙁 😮 😳 🥺 😢 😭 😱 😤 😡 😈',
  '👍 👎 👌 ✌️ 🤞 🤟 🤙 👋 👏 🙌 🙏 💪 👀 🤝 ☝️ 👇 👉 👈',
  '❤️ 🧡 💛 💚 💙 💜 🖤 💔 💯 ✨ ⭐ 🔥 🎉 🎂 🎁 🏆 🎵 📷 ☎️ 💡 ✅ ❌ ❓ ❗',
  '🐦 🐱 🐶 🦊 🐻 🐸 🐝 🦋 🌸 🌻 🌲 🍀 🌈 ☀️ 🌧️ ❄️ 🌊 🍎 🍓 🍕 🍰 🍪 ☕ 🍺 🍷 🚲 🚗 🚆 ✈️ 🏠',
]

export const emoji = groups.map((g) => g.split(' '))

const one = /^(\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|\u200d|\ufe0f|[\u{e0020}-\u{e007f}]|\s)+$/u

/** A message of a few emoji and nothing else, which is shown large. */
export const isEmoji = (text: string) => text.length <= 40 && one.test(text) && [...new Intl.Segmenter().segment(text.replace(/\s/g, ''))].length <= 5
