// A doubly linked list with the links in its members: adding, removing and moving to the end take constant time.

/** A member of a {@link Queue}. It is in one queue at a time. */
export interface Link<Member> {
  before: Member | undefined
  after: Member | undefined
}

export class Queue<Member extends Link<Member>> {
  first: Member | undefined
  last: Member | undefined

  append(member: Member): void {
    member.before = this.last
    if (this.last) this.last.after = member
    else this.first = member
    this.last = member
  }

  remove(member: Member): void {
    const { before, after } = member
    if (before) before.after = after
    else this.first = after
    if (after) after.before = before
    else this.last = before
    member.before = member.after = undefined
  }

  /** Puts a member at the end. */
  renew(member: Member): void {
    if (this.last === member) return
    this.remove(member)
    this.append(member)
  }
}
