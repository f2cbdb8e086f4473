// What a scene saw: a word or two, and whether something was lost.

export const good = (text) => ({ text, isLoss: false })
export const bad = (text) => ({ text, isLoss: true })

/** Where there is nothing to see. */
export const none = (text = '–') => ({ text, isLoss: false })
