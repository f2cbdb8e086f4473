export {
  checkSecret,
  hasShortSecret,
  keyring,
  LISTED,
  type Keyring,
  type KeygripLike,
  type LiveKeyring,
  type Secrets,
} from './cookie.ts'
