// Package prompt is the conversation between the daemon and the person at the device, over
// a local socket: questions for consent and their answers, what a session is doing, and the
// person's word to pause it, stop it or take a capability back. Desk is the daemon's end;
// Dial is the end of the companion window and of "handrail-agent status".
//
//	client -> hello           companion: I can show windows; status: I only look
//	daemon -> status          to a status client; then it hangs up
//	daemon -> ask             a question, with the time left for it
//	client -> shown           the question, or the notice, is on the screen
//	client -> answer          accepted or declined, and what is granted
//	daemon -> withdraw        the question is over: answered, timed out, taken back
//	daemon -> banners         every session there is, on each change
//	daemon -> notice          words of an operator, to be shown until they are closed
//	client -> command         pause, resume, stop, drop a capability
//
// Messages are JSON, one a line, at most MaxLine bytes. The socket only speaks to accounts
// it was told to, which the kernel names; a client that breaks a rule is cut off. Nobody
// connected means that nobody can be asked, which is a refusal.
package prompt
