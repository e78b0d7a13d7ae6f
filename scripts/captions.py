"""What each table shows."""

from lowrankgan.metrics.names import SAME_PERSON

# By name of the table, with settings of its step.
CAPTIONS = {
    "comparison": "Change outside the region over that of the first direction of {baseline!r}, at "
    "equal change inside (paired over the faces on which both reach it; below 1 is less).",
    "summary": "Change inside and outside the region at matched change inside; reached is the "
    "share of faces on which the target was reached. Of the original with the edited region pasted "
    "in, composite is the whole distance, and spill that outside, where it changes nothing. "
    "Identity is how far from the original face recognition sees the edit; less than "
    f"{SAME_PERSON} is the same person, and same_person the share of such faces.",
    "attributes": "Change of attribute scores at matched change inside the region; moved is its "
    "mean size either way, for a closed mouth opens where an open one closes; that over the "
    "change outside (root MSE at equal MSE, LPIPS at equal LPIPS) is per_outside_change.",
    "ranks": "Ranks of the Gram matrices by rule, with the pursuit's residuals.",
    "generalization": "Directions found on each analysis image, measured on unseen faces.",
    "angles": "Principal angles between the subspaces that different analysis images give.",
    "transfer": "Directions found on each analysis image, applied to itself (own) and to the other "
    "analysis images: change outside, and its ratio (1 is no loss).",
    "regions": "Principal angles between the subspaces that different regions give.",
    "sweep": "Change outside against the number of directions that the background keeps.",
    "classes": "Directions found on one class, applied to it (average) and to others: change "
    "outside the region over that of {baseline!r}, at equal change inside.",
    "published": "MSE x 1e-3 inside and outside a region. Published rows are as published, at "
    "steps of their own; measured rows are of this run, at equal change inside ({target}).",
    "distinct": "What each direction of a region changes, and whether its edits differ from those "
    "of all distinct directions before it; tint is the share of the change that is one shift of "
    "colour.",
    "exactness": "Ranks of the Jacobian of each region and of the rest in float64, beyond "
    "rounding; nullity is the dimension of the null space, leak the largest change of a pixel "
    "along it to first order, over that along the leading direction.",
}
