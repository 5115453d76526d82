import {
  Anchor,
  type AnchorProps,
  Button,
  type ButtonProps,
  NavLink,
  type NavLinkProps,
} from "@mantine/core";
import { createLink } from "@tanstack/react-router";
import type { AnchorHTMLAttributes, Ref } from "react";

type Native<P> = P &
  Omit<AnchorHTMLAttributes<HTMLAnchorElement>, keyof P> & { ref?: Ref<HTMLAnchorElement> };

/** A link to another page of the console that looks like a link. */
export const PageLink = createLink((props: Native<AnchorProps>) => <Anchor {...props} />);

/** A link to another page of the console that looks like a button. */
export const ButtonLink = createLink((props: Native<ButtonProps>) => <Button component="a" {...props} />);

/** An entry of the main menu. */
export const MenuLink = createLink((props: Native<NavLinkProps>) => <NavLink component="a" {...props} />);

/** What a row of a list is called: a click anywhere on the row opens its page. */
export const RowLink = createLink((props: Native<AnchorProps>) => (
  <Anchor className="row-link one-line" display="block" underline="never" {...props} />
));
